import { createHash } from "node:crypto";
import { existsSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { answering, failure, outgoing } from "../../../../test/contract/transport-fixture.ts";
import { echo } from "../../../../test/support/echo.ts";
import { seededRandom } from "../../../../test/support/seeded-random.ts";
import { resolveLimits } from "../limits.ts";
import { hostAndPort } from "../socket-address.ts";
import { defaultLimits, type Listener } from "../transport.ts";
import { tcpTransport } from "./transport.ts";

const folder = mkdtempSync(join(tmpdir(), "micro-es-tcp-"));
afterAll(() => rmSync(folder, { recursive: true }));

const transport = tcpTransport();
const dispatcher = answering({ unary: (_request, call) => ({ text: call.peer.address }) });

/** Calls a listener, and returns the address at which it sees the caller. */
async function call(listener: Listener, address = listener.address): Promise<string> {
  const channel = await transport.dial(address);
  const { text } = await channel.unary(echo.echo, {}, outgoing());
  await channel.close();
  return text;
}

test("listens at every form of address, and reports the real port", async () => {
  for (const [wanted, peer] of [
    ["127.0.0.1:0", /^127\.0\.0\.1:\d+$/],
    ["localhost:0", /^(127\.0\.0\.1|\[::1\]):\d+$/],
    ["[::1]:0", /^\[::1\]:\d+$/],
    ["0.0.0.0:0", /^127\.0\.0\.1:\d+$/],
  ] as const) {
    const listener = await transport.listen(wanted, dispatcher);
    const port = listener.address.slice(listener.address.lastIndexOf(":") + 1);
    expect(Number(port)).toBeGreaterThan(0);
    expect(listener.address).toBe(wanted.replace(/0$/, port));
    expect(await call(listener)).toMatch(peer);
    await listener.close();
  }
});

test("accepts a port alone: every interface to listen, this machine to dial", async () => {
  const listener = await transport.listen(":0", dispatcher);
  expect(listener.address).toMatch(/^(\[::\]|0\.0\.0\.0):\d+$/);
  const port = listener.address.slice(listener.address.lastIndexOf(":"));
  expect(await call(listener, port)).toMatch(/^(127\.0\.0\.1|\[::1\]):\d+$/);
  await listener.close();
});

test("refuses hostile and impossible addresses", async () => {
  for (const address of [
    "127.0.0.1",
    "127.0.0.1:65536",
    "127.0.0.1:-1",
    "127.0.0.1:1e3",
    "127.0.0.1:80 ",
    "2130706433:80",
    "0x7f.1:80",
    "127.1:80",
    "a b:80",
    "a\n:80",
    "user@host:80",
    "::1:80",
    "[::1:80",
    "[127.0.0.1]:80",
    "unix:relative",
    "unix:",
    "unix:/a\0b",
    `unix:/${"a".repeat(200)}`,
    "memory:name",
    `${"a".repeat(300)}:80`,
  ]) {
    expect(transport.accepts(address), address).toBe(false);
    await failure(transport.dial(address), "invalid_argument", "not-executed");
  }
  await failure(transport.dial("127.0.0.1:0"), "invalid_argument", "not-executed");
  await failure(transport.listen("192.0.2.1:0", dispatcher), "invalid_argument", "not-executed");
});

test("replaces the unix socket file that a dead process left, and removes its own", async () => {
  const path = join(folder, "stale.sock");
  const dead = createServer();
  await new Promise<void>((resolve) => dead.listen(`${path}.bound`, resolve));
  // The bound socket keeps its file under another name, as when its process is killed.
  renameSync(`${path}.bound`, path);
  await new Promise((resolve) => dead.close(resolve));
  expect(existsSync(path)).toBe(true);
  const listener = await transport.listen(`unix:${path}`, dispatcher);
  expect(await call(listener)).toBe(`unix:${path}`);
  await listener.close();
  expect(existsSync(path)).toBe(false);
});

test("leaves a file alone that is not a socket", async () => {
  const path = join(folder, "precious");
  writeFileSync(path, "data");
  await failure(transport.listen(`unix:${path}`, dispatcher), "already_exists", "not-executed");
  expect(existsSync(path)).toBe(true);
});

test("reports where a socket file cannot be created", async () => {
  const error = await failure(
    transport.listen(`unix:${join(folder, "nowhere", "a.sock")}`, dispatcher),
    "invalid_argument",
  );
  expect(error.message).toContain("nowhere");
});

test("transfers twenty megabytes each way through a small window", async () => {
  const limited = tcpTransport({ streamWindowBytes: 65_536 });
  const echoing = answering({
    async *stream(requests) {
      for await (const { payload } of requests) yield { payload };
    },
  });
  const listener = await limited.listen("127.0.0.1:0", echoing);
  const channel = await limited.dial(listener.address);
  const random = seededRandom(11);
  const sent = createHash("sha256");
  const received = createHash("sha256");
  const requests = (async function* () {
    for (let bytes = 0; bytes < 20_000_000; ) {
      const payload = new Uint8Array(Math.floor(random() ** 4 * 500_000)).fill(random() * 256);
      for (let at = 0; at < payload.length; at += 97) payload[at] = random() * 256;
      sent.update(payload);
      bytes += payload.length;
      yield { payload };
    }
  })();
  for await (const { payload } of channel.stream(echo.chat, requests, outgoing())) {
    received.update(payload);
  }
  expect(received.digest("hex")).toBe(sent.digest("hex"));
  await channel.close();
  await listener.close();
});

test("refuses invalid limits", () => {
  for (const value of [0, -1, 1.5, Number.NaN, 2 ** 31]) {
    expect(() => tcpTransport({ maxMessageBytes: value })).toThrow("maxMessageBytes");
  }
  expect(resolveLimits({ maxConnections: 7 })).toEqual({ ...defaultLimits, maxConnections: 7 });
});

test("formats addresses as they are parsed", () => {
  expect(hostAndPort("::ffff:10.0.0.7", 80)).toBe("10.0.0.7:80");
  expect(hostAndPort("fe80::1%eth0", 80)).toBe("[fe80::1%eth0]:80");
  expect(hostAndPort("example.com", 80)).toBe("example.com:80");
});

test("a plain file at the path of a unix socket is kept, and the error names it", async () => {
  const path = join(folder, "plain-file");
  writeFileSync(path, "mine");
  const error = await failure(
    tcpTransport().listen(`unix:${path}`, dispatcher),
    "already_exists",
    "not-executed",
  );
  expect(error.message).toContain(`${path} exists and is not a socket; remove it`);
  expect(readFileSync(path, "utf8")).toBe("mine");
});
