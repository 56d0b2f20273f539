import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { build } from "esbuild";
import type { PageSettings } from "../page/sign-in.ts";
import { type HttpServer, listen } from "./http-server.ts";

const folder = join(import.meta.dirname, "../page");

/**
 * Serves the page on an origin of its own.
 *
 * @param settings read when a page requests them, as they contain the addresses of servers that
 * start later
 */
export async function startSite(port: number, settings: () => PageSettings): Promise<HttpServer> {
  const { outputFiles } = await build({
    entryPoints: [join(folder, "main.ts")],
    bundle: true,
    format: "esm",
    platform: "browser",
    conditions: ["@micro-es/source"],
    write: false,
  });
  const script = outputFiles[0]?.text ?? "";
  const files: Readonly<Record<string, [type: string, content: () => string | Promise<string>]>> = {
    "/": ["text/html", () => readFile(join(folder, "index.html"), "utf8")],
    "/style.css": ["text/css", () => readFile(join(folder, "style.css"), "utf8")],
    "/main.js": ["text/javascript", () => script],
    "/settings.json": ["application/json", () => JSON.stringify(settings())],
  };
  const server = await listen(port);
  server.serve(async (request, response) => {
    const file = files[new URL(request.url ?? "", server.url).pathname];
    if (file === undefined) {
      response.writeHead(404).end();
      return;
    }
    const [type, content] = file;
    // No page of another site may show this one in a frame.
    const policy = "frame-ancestors 'none'";
    response.setHeader("content-security-policy", policy);
    response.setHeader("content-type", `${type}; charset=utf-8`);
    response.end(await content());
  });
  return server;
}
