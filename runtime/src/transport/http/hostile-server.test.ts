import { createServer as createHttp2, type ServerHttp2Stream } from "node:http2";
import { createServer, type Server, type Socket } from "node:net";
import { gzipSync } from "node:zlib";
import { createClient, httpTransport } from "@micro-es/runtime";
import { afterEach, expect, test } from "vitest";
import { all, failure, outgoing } from "../../../../test/contract/transport-fixture.ts";
import { echo } from "../../../../test/support/echo.ts";
import { errorOf } from "../../../../test/support/server.ts";

const open: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

async function listening(server: Pick<Server, "listen" | "address" | "close">): Promise<string> {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  open.push(() => void server.close());
  return `http://127.0.0.1:${(server.address() as { port: number }).port}`;
}

/** Starts a gRPC server that sends these bytes and trailers, and counts its calls. */
async function grpcServer(body: Uint8Array, trailers: Record<string, string>, encoding?: string) {
  const seen = { calls: 0 };
  const server = createHttp2();
  server.on("stream", (stream: ServerHttp2Stream) => {
    seen.calls++;
    stream.on("error", () => undefined);
    const header = encoding === undefined ? {} : { "grpc-encoding": encoding };
    const type = { ":status": 200, "content-type": "application/grpc+proto" };
    stream.respond({ ...type, ...header }, { waitForTrailers: true });
    stream.on("wantTrailers", () => stream.sendTrailers(trailers));
    stream.end(body);
  });
  return { address: await listening(server), seen };
}

const odd = "no %zz such %E4 thing %C3%A4";

test.each([
  [{ "grpc-status": "5", "grpc-message": odd }, "not_found", "no %zz such %E4 thing ä"],
  [{ "grpc-status": "1e3", "grpc-message": "odd" }, "unknown", "odd"],
  [{ "grpc-status": "01", "grpc-message": "odd" }, "unknown", "odd"],
  [{ "grpc-status": "17" }, "unknown", "17"],
  [{ "grpc-status": "-1" }, "unknown", "-1"],
  [{ "grpc-status": "13", "grpc-message": "x", "grpc-status-details-bin": "!!!" }, "internal", "x"],
  [{ "grpc-status": "13", "grpc-message": "x", "grpc-status-details-bin": "CAA" }, "internal", "x"],
  [{ "grpc-status": "7", "grpc-message": "%" }, "permission_denied", "%"],
] as const)("trailers %j keep their status", async (trailers, code, text) => {
  const { address } = await grpcServer(new Uint8Array(5), trailers);
  const channel = await httpTransport().dial(address);
  open.push(() => channel.close());
  const error = await failure(channel.unary(echo.once, {}, outgoing()), code);
  expect(error.message).toContain(text);
  await failure(all(channel.stream(echo.repeat, [{}], outgoing())), code);
});

test("more than 128 values of metadata are resource_exhausted", async () => {
  const trailers = { "grpc-status": "0", "x-bin": ",".repeat(500) };
  const { address } = await grpcServer(new Uint8Array(5), trailers);
  const channel = await httpTransport().dial(address);
  open.push(() => channel.close());
  const error = await failure(channel.unary(echo.once, {}, outgoing()), "resource_exhausted");
  expect(error.message).toContain("metadata has more than 128 entries");
  expect(error.outcome).toBe("executed");
  await failure(all(channel.stream(echo.repeat, [{}], outgoing())), "resource_exhausted");
});

test("a failure keeps its own error whatever its metadata is", async () => {
  const trailers = { "grpc-status": "5", "grpc-message": "gone", "x-bin": ",".repeat(500) };
  const { address } = await grpcServer(new Uint8Array(0), trailers);
  const channel = await httpTransport().dial(address);
  open.push(() => channel.close());
  expect((await failure(channel.unary(echo.once, {}, outgoing()), "not_found")).message).toBe(
    "gone",
  );
});

test("a response that becomes more than a hundred times larger is resource_exhausted", async () => {
  const data = gzipSync(Buffer.alloc(3 * 1024 * 1024));
  const body = Buffer.concat([Buffer.of(1, 0, 0, data.length >> 8, data.length & 0xff), data]);
  const { address, seen } = await grpcServer(body, { "grpc-status": "0" }, "gzip");
  await using client = createClient();
  const error = await errorOf(client.unary(echo.echo, {}, { address }));
  expect(error).toMatchObject({ code: "resource_exhausted", outcome: "executed" });
  expect(error.message).toContain("raise maxInflationRatio");
  expect(seen.calls).toBe(1);
});

test.each([
  ["a message", undefined, 0, Buffer.alloc(4 * 1024 * 1024 + 1)],
  ["a message that inflates", "gzip", 1, gzipSync(Buffer.alloc(5 * 1024 * 1024))],
] as const)("%s over the limit is resource_exhausted and not tried again", async (...row) => {
  const [, encoding, mark, message] = row;
  const prefix = Buffer.alloc(5);
  prefix[0] = mark;
  prefix.writeUInt32BE(message.length, 1);
  const body = Buffer.concat([prefix, message]);
  const { address, seen } = await grpcServer(body, { "grpc-status": "0" }, encoding);
  const client = createClient();
  open.push(() => client.close());
  const error = await errorOf(client.unary(echo.echo, {}, { address, timeoutMs: 20_000 }));
  expect(error.code).toBe("resource_exhausted");
  expect(seen.calls).toBe(1);
});

test("HTTP/1.1 connections that close at once are redialled with backoff", async () => {
  let connections = 0;
  const address = await listening(
    createServer((socket) => {
      connections++;
      socket.on("error", () => undefined);
      socket.once("data", () => socket.destroy());
    }),
  );
  const client = createClient({
    transports: [httpTransport({ protocol: "connect", httpVersion: "1.1" })],
  });
  open.push(() => client.close());
  for (let call = 0; call < 30; call++) {
    const error = await errorOf(client.unary(echo.once, {}, { address, retry: false }));
    expect(error.code).toBe("unavailable");
  }
  // Each dial is a probe and then a call; with backoff, there are few.
  expect(connections).toBeLessThan(15);
});

test("a connection that a server neither serves nor closes any more can be closed", async () => {
  const sockets: Socket[] = [];
  const address = await listening(
    createServer({ allowHalfOpen: true }, (socket) => {
      sockets.push(socket);
      socket.on("error", () => undefined);
      // SETTINGS.
      socket.write(Buffer.of(0, 0, 0, 4, 0, 0, 0, 0, 0));
      socket.resume();
    }),
  );
  open.push(() => {
    for (const socket of sockets) socket.destroy();
  });
  const goAway = () => {
    // GOAWAY without an error, before the first stream.
    const frame = Buffer.of(0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
    for (const socket of sockets.splice(0)) socket.write(frame);
  };
  const abandoned = await httpTransport({ keepaliveTimeoutMs: 50 }).dial(address);
  const closed = await httpTransport({ keepaliveTimeoutMs: 600_000 }).dial(address);
  goAway();
  await expect.poll(() => closed.state).not.toBe("open");
  await closed.close();
  expect(closed.state).toBe("closed");
  expect((await abandoned.closed)?.code).toBe("unavailable");
});
