import { createServer, type Socket } from "node:net";
import { createClient, goMicroTransport } from "@micro-es/runtime";
import { afterEach, expect, test } from "vitest";
import { all, failure, outgoing } from "../../../test/contract/transport-fixture.ts";
import { echo } from "../../../test/support/echo.ts";
import { errorOf } from "../../../test/support/server.ts";

const open: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

/**
 * Starts a server that sends these bytes on each connection after a request, and counts the
 * requests.
 */
async function rawServer(response: string | ((socket: Socket) => void)) {
  const seen = { requests: 0 };
  const server = createServer((socket) => {
    open.push(() => void socket.destroy());
    socket.on("error", () => undefined);
    socket.on("data", (bytes) => {
      if (!bytes.toString("latin1").startsWith("POST ")) return;
      seen.requests++;
      if (typeof response === "string") socket.write(response);
      else response(socket);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  open.push(() => new Promise((resolve) => server.close(resolve)));
  const { port } = server.address() as { port: number };
  return { address: `mucp://127.0.0.1:${port}`, seen };
}

const empty = "Content-Length: 0\r\n\r\n";

test.each([
  [`HTTP/1.1 100 Continue\r\n\r\n`, "unknown", "unknown"],
  [`HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n`, "unknown", "unknown"],
  [`HTTP/1.1 201 Created\r\n${empty}`, "unknown", "unknown"],
  [`HTTP/1.1 204 No Content\r\n\r\n`, "unknown", "unknown"],
  [`HTTP/1.1 301 Moved Permanently\r\nLocation: /x\r\n${empty}`, "unknown", "unknown"],
  [`HTTP/1.1 304 Not Modified\r\n\r\n`, "unknown", "unknown"],
  [`HTTP/1.0 400 Bad Request\r\n${empty}`, "internal", "unknown"],
  [`HTTP/1.1 401 Unauthorized\r\n${empty}`, "unauthenticated", "not-executed"],
  [`HTTP/1.1 403 Forbidden\r\n${empty}`, "permission_denied", "unknown"],
  [`HTTP/1.1 404 Not Found\r\n${empty}`, "unimplemented", "unknown"],
  [`HTTP/1.1 413 Content Too Large\r\n${empty}`, "resource_exhausted", "not-executed"],
  [`HTTP/1.1 429 Too Many Requests\r\n${empty}`, "unavailable", "unknown"],
  [`HTTP/1.1 500 Internal Server Error\r\n${empty}`, "internal", "unknown"],
  [`HTTP/1.1 502\r\nContent-Length: 13\r\n\r\n<html></html>`, "unavailable", "unknown"],
  [`HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\n${empty}`, "unavailable", "unknown"],
  [`HTTP/1.1 504 Gateway Timeout\r\n${empty}`, "unavailable", "unknown"],
  [`HTTP/1.1 599 \r\n${empty}`, "unknown", "unknown"],
  [`GET / HTTP/1.1\r\n\r\n`, "unavailable", "unknown"],
  [`POST /200 HTTP/1.1\r\n${empty}`, "unavailable", "unknown"],
] as const)("a response that begins %j is a failure", async (response, code, outcome) => {
  const { address, seen } = await rawServer(response);
  const channel = await goMicroTransport().dial(address);
  open.push(() => channel.close());
  const error = await failure(channel.unary(echo.once, {}, outgoing()), code, outcome);
  expect(error.message).toContain("EchoService/Once");
  const status = /^HTTP\/1\.[01] (\d+)/.exec(response)?.[1];
  if (status !== undefined) expect(error.message).toContain(status);
  expect(error.retryAfterMs).toBe(status === "503" ? 5_000 : undefined);
  await failure(all(channel.stream(echo.repeat, [{}], outgoing())), code, outcome);
  expect(seen.requests).toBe(2);
});

test("an error message repeats only a bounded and printable part of a status line", async () => {
  const { address } = await rawServer(
    `HTTP/1.1 500 \u001b]0;x\u0007${"y".repeat(20_000)}\r\n${empty}`,
  );
  const channel = await goMicroTransport().dial(address);
  open.push(() => channel.close());
  const error = await failure(channel.unary(echo.once, {}, outgoing()), "internal");
  expect(error.message).toMatch(/^[\x20-\x7e]{1,500}$/);
});

test.each([
  ["a body", `HTTP/1.1 200 OK\r\nContent-Length: 4194305\r\n\r\n`],
  ["a chunk", `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n7fffffff\r\n`],
  ["a header", `HTTP/1.1 200 OK\r\nX-Long: ${"x".repeat(40_000)}\r\n\r\n`],
])("%s over the limit is resource_exhausted and not retried", async (_what, response) => {
  const { address, seen } = await rawServer(response);
  const client = createClient();
  open.push(() => client.close());
  const error = await errorOf(client.unary(echo.echo, {}, { address, timeoutMs: 5_000 }));
  expect(error).toMatchObject({ code: "resource_exhausted", outcome: "unknown" });
  expect(seen.requests).toBe(1);
});

test.each([
  ["a header", "HTTP/1.1 200 OK\r\n", "X"],
  ["a body", "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n", "a"],
  ["chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "1\r\na\r\n"],
  ["trailers", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", "A: b\r\n"],
])("a server that sends %s slowly does not keep its call open", async (_what, head, drop) => {
  const { address } = await rawServer((socket) => {
    socket.write(head);
    const drip = setInterval(() => socket.write(drop), 20);
    socket.once("close", () => clearInterval(drip));
  });
  const channel = await goMicroTransport({ handshakeTimeoutMs: 200 }).dial(address);
  open.push(() => channel.close());
  const error = await failure(channel.unary(echo.once, {}, outgoing()), "unavailable", "unknown");
  expect(error.message).toContain("was not complete within 200 ms");
  await failure(all(channel.stream(echo.repeat, [{}], outgoing())), "unavailable");
});
