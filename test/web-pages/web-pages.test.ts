import { mkdtemp, rm } from "node:fs/promises";
import { createServer, type IncomingHttpHeaders, request } from "node:http";
import { connect as connectHttp2 } from "node:http2";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { httpBroker, MemoryRegistryNetwork, memoryRegistry, tcpTransport } from "@micro-es/runtime";
import type { Listener } from "@micro-es/runtime/driver";
import { chromium } from "playwright-core";
import { afterEach, describe, expect, test } from "vitest";
import { answering } from "../contract/transport-fixture.ts";
import { chromiumFlags, chromiumPath, hasChromium } from "../support/chromium.ts";

/**
 * What web pages can make a browser send to a service, which needs no permission of the page's
 * user.
 */

const open: (() => Promise<unknown> | unknown)[] = [];
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

const rpc = "/micro.test.v1.EchoService/Echo";

/** A service that counts its calls, and what it refused. */
async function serve(options: Parameters<typeof tcpTransport>[0] = {}) {
  const seen = { calls: 0, hosts: [] as string[], origins: [] as string[] };
  const listener: Listener = await tcpTransport(options).listen(
    "127.0.0.1:0",
    answering({
      unary: ({ text }) => {
        seen.calls++;
        return { text };
      },
    }),
    {
      onRefusedHost: (host) => seen.hosts.push(host),
      onRefusedOrigin: (origin) => seen.origins.push(origin),
    },
  );
  open.push(() => listener.close());
  return { port: Number(listener.address.split(":")[1]), seen };
}

interface Response {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}

function send(
  port: number,
  path: string,
  headers: Record<string, string>,
  body: string | Uint8Array = "{}",
  method = "POST",
): Promise<Response> {
  return new Promise((resolve, reject) => {
    const outgoing = request({ host: "127.0.0.1", port, path, method, headers, agent: false });
    outgoing.on("error", reject);
    outgoing.on("response", (incoming) => {
      const chunks: Buffer[] = [];
      incoming.on("data", (chunk: Buffer) => chunks.push(chunk));
      incoming.on("end", () => {
        const text = Buffer.concat(chunks).toString();
        resolve({ status: incoming.statusCode ?? 0, headers: incoming.headers, text });
      });
    });
    outgoing.end(method === "GET" ? undefined : body);
  });
}

const json = { "content-type": "application/json" };
const goMicro = { ...json, "micro-service": "echo", "micro-endpoint": "EchoService.Echo" };
const evil = { origin: "https://evil.example", "sec-fetch-site": "cross-site" };
const get = `${rpc}?connect=v1&encoding=json&message=${encodeURIComponent('{"text":"a"}')}`;

describe("a request of a page from another origin", () => {
  test.each<[what: string, path: string, headers: Record<string, string>, method?: string]>([
    ["Connect", rpc, { ...json, ...evil }],
    ["Connect without Sec-Fetch-Site", rpc, { ...json, origin: evil.origin }],
    ["Connect by GET, without an origin", get, { "sec-fetch-site": "cross-site" }, "GET"],
    ["gRPC-Web", rpc, { "content-type": "application/grpc-web+proto", ...evil }],
    ["a page on another port of this machine", rpc, { ...json, origin: "http://127.0.0.1:1" }],
    ["a sandboxed page", rpc, { ...json, origin: "null" }],
    ["go-micro", "/", { ...goMicro, ...evil }],
    ["go-micro's envelope", "/", { ...json, ...evil }],
    ["a path without an rpc", "/nothing", { ...json, ...evil }],
  ])("is refused: %s", async (_what, path, headers, method) => {
    const { port, seen } = await serve();
    const response = await send(port, path, headers, "{}", method);
    expect(response.headers["micro-error"] ?? `"code":${response.status}`).toContain('"code":403');
    expect(seen.calls).toBe(0);
    expect(seen.origins).toEqual("origin" in headers ? [headers.origin] : []);
  });

  test("is served if its origin is allowed, and so are those of the same origin", async () => {
    const origins = ["https://app.example"];
    const { port, seen } = await serve({ http: { cors: { origins } } });
    for (const headers of [
      { origin: "https://app.example", "sec-fetch-site": "cross-site" },
      { origin: `http://127.0.0.1:${port}` },
      { origin: "https://proxied.example", "sec-fetch-site": "same-origin" },
    ]) {
      expect((await send(port, rpc, { ...json, ...headers }, '{"text":"a"}')).status).toBe(200);
      const { text } = await send(port, "/", { ...goMicro, ...headers }, '{"text":"b"}');
      expect(text).toBe('{"text":"b"}');
    }
    expect(seen.calls).toBe(6);
  });
});

describe("a request that a page may send without a preflight", () => {
  const types = [undefined, "text/plain", "multipart/form-data; boundary=application/json"];
  test.each([...types, "application/x-www-form-urlencoded", "text/plain; application/json"])(
    "calls no handler, as %s",
    async (type) => {
      const { port, seen } = await serve();
      const headers = type === undefined ? {} : { "content-type": type };
      const bodies = ['{"method":"EchoService.Echo","params":[{"text":"a"}],"id":1}', envelope];
      for (const path of ["/", rpc]) {
        for (const body of bodies) await send(port, path, headers, body);
        await send(port, path, { ...headers, "micro-endpoint": "EchoService.Echo" });
      }
      expect(seen.calls).toBe(0);
    },
  );
});

describe("a request for a host that is not this machine's", () => {
  const rebound = "rebound.evil.example:8080";
  test.each([rpc, "/", get, "/readyz"])("is refused by HTTP/1.1: %s", async (path) => {
    const { port, seen } = await serve();
    const headers = { ...goMicro, host: rebound, origin: `http://${rebound}` };
    const response = await send(port, path, headers, "{}", path === "/readyz" ? "GET" : "POST");
    expect(response.headers["micro-error"] ?? `"code":${response.status}`).toContain('"code":403');
    expect(seen).toEqual({ calls: 0, hosts: [rebound], origins: [] });
  });

  test.each([{ ":authority": rebound }, { host: rebound }])(
    "is refused by HTTP/2: %o",
    async (header) => {
      const { port, seen } = await serve();
      const session = connectHttp2(`http://127.0.0.1:${port}`);
      open.push(() => session.destroy());
      const stream = session.request({ ":method": "POST", ":path": rpc, ...json, ...header });
      stream.end("{}");
      const status = new Promise((resolve) =>
        stream.once("response", (lines) => resolve(lines[":status"])),
      );
      expect(await status).toBe(403);
      expect(seen).toEqual({ calls: 0, hosts: [rebound], origins: [] });
    },
  );

  test("is served if the name is configured", async () => {
    const { port, seen } = await serve({ hosts: ["greeter.example"] });
    for (const path of [rpc, "/"]) await send(port, path, { ...goMicro, host: "greeter.example" });
    expect(seen.calls).toBe(2);
  });
});

test("the HTTP broker accepts no event from a page, and none for a host that is not this machine's", async () => {
  const registry = memoryRegistry({ network: new MemoryRegistryNetwork() });
  const broker = httpBroker({ registry, address: "127.0.0.1:0" });
  open.push(() => registry.close());
  open.push(() => broker.close());
  const taken: string[] = [];
  await broker.subscribe("topic", ({ id }) => void taken.push(id));
  const port = Number(broker.address?.split(":")[1]);
  const [node] = await registry.get("micro.http.broker");
  const path = `/?id=${node?.id}`;
  const event = JSON.stringify({ Header: { "Micro-Topic": "topic", "Micro-ID": "a" }, Body: "" });
  for (const headers of [evil, { host: "evil.example" }, { origin: "http://127.0.0.1:1" }]) {
    const response = await send(port, path, { ...json, ...headers }, event);
    expect(response.status).toBe(403);
  }
  expect((await send(port, path, json, event)).status).toBe(200);
  await expect.poll(() => taken).toHaveLength(1);
});

/** go-micro's envelope of before its first version. */
const envelope = Buffer.from("\0\0\0\x12\x0a\x10EchoService.Echo\0\0\0\x03\x0a\x01a", "latin1");

describe.skipIf(!hasChromium("a page in a real browser"))("a page in Chromium", () => {
  test("from another origin, another port of this machine and a sandbox, calls no handler", async () => {
    const { port, seen } = await serve();
    const site = createServer((_, response) => {
      response.setHeader("content-type", "text/html");
      response.end("<!doctype html><title>evil</title><body></body>");
    });
    await new Promise<void>((resolve) => site.listen(0, "127.0.0.1", resolve));
    open.push(() => site.close());
    const profile = await mkdtemp(join(tmpdir(), "web-page-"));
    open.push(() => rm(profile, { recursive: true, force: true }));
    const browser = await chromium.launchPersistentContext(profile, {
      executablePath: chromiumPath as string,
      args: [...chromiumFlags, "--host-resolver-rules=MAP *.example 127.0.0.1"],
    });
    open.push(() => browser.close());
    const target = `http://127.0.0.1:${port}`;
    const sitePort = (site.address() as AddressInfo).port;
    for (const origin of [`http://evil.example:${sitePort}`, `http://localhost:${sitePort}`]) {
      const page = await browser.newPage();
      await page.goto(origin);
      await page.evaluate(attack, { target, rpc, get, envelope: [...envelope] });
      await page.close();
    }
    expect(seen.calls).toBe(0);

    const rebound = await browser.newPage();
    // The name leads to this machine, and the page is of the service's own origin.
    await rebound.goto(`http://evil.example:${port}/`).catch(() => undefined);
    await rebound.evaluate(attack, { target: "", rpc, get, envelope: [...envelope] });
    expect(seen.calls).toBe(0);
    expect(seen.hosts).toEqual([`evil.example:${port}`]);

    const own = await browser.newPage();
    await own.goto(`${target}/healthz`);
    await own.evaluate(attack, { target: "", rpc, get, envelope: [...envelope] });
    expect(seen.calls).toBeGreaterThan(0);
  }, 60_000);
});

/** What Node does not have of a browser. */
interface Browser {
  readonly navigator: { sendBeacon(url: string, body: string | Uint8Array): boolean };
}

/** What a page tries; runs in the browser. */
async function attack(to: {
  target: string;
  rpc: string;
  get: string;
  envelope: number[];
}): Promise<void> {
  const bytes = new Uint8Array(to.envelope);
  const text = '{"method":"EchoService.Echo","params":[{"text":"a"}],"id":1}';
  const send = (path: string, init: RequestInit) =>
    fetch(`${to.target}${path}`, init).then(
      (response) => response.text(),
      () => undefined,
    );
  const simple: RequestInit = { method: "POST", mode: "no-cors" };
  for (const path of ["/", to.rpc]) {
    await send(path, { ...simple, body: bytes });
    await send(path, { ...simple, body: text });
    await send(path, { ...simple, body: new Blob([bytes]) });
    await send(path, { ...simple, body: new URLSearchParams({ a: text }) });
    await send(path, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: text,
    });
    const { navigator } = globalThis as unknown as Browser;
    navigator.sendBeacon(`${to.target}${path}`, bytes);
    navigator.sendBeacon(`${to.target}${path}`, text);
  }
  await send(to.get, { mode: "no-cors" });
}
