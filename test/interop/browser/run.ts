import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { build } from "esbuild";
import { chromium } from "playwright-core";
import { chromiumFix, chromiumFlags, chromiumPath } from "../../support/chromium.ts";
import type { Credentials } from "../credentials.ts";
import type { CaseResult } from "../matrix.ts";
import { type Missing, ours } from "../peers.ts";
import { startServer } from "../process.ts";

const here = import.meta.dirname;
/**
 * Calls our server from a page of another origin in headless Chromium: gRPC-Web, Connect and plain
 * `fetch`, over HTTP/1.1 and, with TLS, over HTTP/2.
 *
 * @param scratch an empty folder; `page.png` in it shows the page afterwards
 */
export async function runInBrowser(
  scratch: string,
  credentials: Credentials | undefined,
): Promise<readonly CaseResult[] | Missing> {
  if (chromiumPath === undefined) return { name: "browser", fix: chromiumFix };
  const page = await servePage();
  const origin = `http://127.0.0.1:${(page.address() as AddressInfo).port}`;
  const command = ours.server(credentials);
  const server = await startServer(
    { ...command, argv: [...command.argv, "--cors", origin] },
    ours.address,
  );
  const tls = credentials !== undefined;
  const browser = await chromium.launchPersistentContext(join(scratch, `profile-${tls}`), {
    executablePath: chromiumPath,
    args: [...chromiumFlags],
    ignoreHTTPSErrors: true,
  });
  try {
    const tab = await browser.newPage();
    const target = `${tls ? "https" : "http"}://${server.address}`;
    await tab.goto(`${origin}/?server=${encodeURIComponent(target)}`);
    await tab.waitForFunction('document.title === "done"', undefined, { timeout: 120_000 });
    await tab.screenshot({ path: join(scratch, "page.png"), fullPage: true });
    const rows = await tab.$$eval("tbody tr", (found) =>
      found.map((row) => [...row.querySelectorAll("td")].map((cell) => cell.textContent ?? "")),
    );
    return rows.map(([way = "", name = "", text = ""]) => ({
      client: `browser, ${way}`,
      server: ours.name,
      tls,
      name,
      error: text === "ok" ? undefined : text,
    }));
  } finally {
    await browser.close();
    await server.stop();
    page.close();
  }
}

/** Serves the page and its script on an origin of its own. */
async function servePage() {
  const bundle = await build({
    entryPoints: [join(here, "page.ts")],
    bundle: true,
    format: "esm",
    platform: "browser",
    write: false,
  });
  const script = bundle.outputFiles[0]?.text ?? "";
  const html = readFileSync(join(here, "page.html"), "utf8");
  const server = createServer(({ url }, response) => {
    const isScript = url === "/page.js";
    response.setHeader("content-type", isScript ? "text/javascript" : "text/html");
    response.end(isScript ? script : html);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return server;
}
