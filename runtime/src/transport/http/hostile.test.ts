import { connect as connectHttp2 } from "node:http2";
import { connect, type Socket } from "node:net";
import { gzipSync } from "node:zlib";
import type { Listener, MicroError } from "@micro-es/runtime";
import { afterEach, expect, test } from "vitest";
import { answering, gate } from "../../../../test/contract/transport-fixture.ts";
import { type TcpTransportOptions, tcpTransport } from "../tcp.ts";

/** What clients do who mean harm, or are broken. Frames of HTTP/2 are written by hand, since Node sends no such. */

const open: { close(): unknown }[] = [];
afterEach(async () => {
  for (const it of open.splice(0).reverse()) await it.close();
});

interface Served {
  readonly listener: Listener;
  readonly port: number;
  readonly errors: MicroError[];
}

async function serve(options: TcpTransportOptions = {}): Promise<Served> {
  const errors: MicroError[] = [];
  const dispatcher = answering({
    unary: ({ text }, call) =>
      text === "wait"
        ? new Promise((_, reject) =>
            call.signal.addEventListener("abort", () => reject(call.signal.reason)),
          )
        : { text },
    async *stream(requests) {
      for await (const { text } of requests) yield { text };
    },
  });
  const listener = await tcpTransport(options).listen("127.0.0.1:0", dispatcher, {
    onConnectionError: (error) => errors.push(error),
  });
  open.push(listener);
  return { listener, port: Number(listener.address.split(":")[1]), errors };
}

const preface = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");

function frame(type: number, flags: number, stream: number, payload = Buffer.alloc(0)): Buffer {
  const header = Buffer.alloc(9);
  header.writeUIntBE(payload.length, 0, 3);
  header[3] = type;
  header[4] = flags;
  header.writeUInt32BE(stream, 5);
  return Buffer.concat([header, payload]);
}

/** The header of a call of Echo by gRPC, without compression of names. */
const callHeader = Buffer.concat(
  Object.entries({
    ":method": "POST",
    ":scheme": "http",
    ":path": "/micro.test.v1.EchoService/Echo",
    ":authority": "localhost",
    "content-type": "application/grpc",
    te: "trailers",
  }).map(([name, value]) =>
    Buffer.concat([
      Buffer.of(0, name.length),
      Buffer.from(name),
      Buffer.of(value.length),
      Buffer.from(value),
    ]),
  ),
);

function raw(port: number): { socket: Socket; closed: Promise<void> } {
  const socket = connect({ host: "127.0.0.1", port });
  socket.on("error", () => undefined);
  socket.resume();
  const closed = new Promise<void>((resolve) => socket.once("close", () => resolve()));
  open.push({ close: () => socket.destroy() });
  return { socket, closed };
}

async function stillServes({ port }: Served): Promise<void> {
  const answer = await fetch(`http://127.0.0.1:${port}/micro.test.v1.EchoService/Echo`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: '{"text":"on"}',
  });
  expect(await answer.json()).toEqual({ text: "on" });
}

test("rapid reset: the connection is really closed, and its neighbours go on", async () => {
  const served = await serve();
  const { socket, closed } = raw(served.port);
  socket.write(Buffer.concat([preface, frame(4, 0, 0)]));
  const cancel = Buffer.of(0, 0, 0, 8);
  for (let stream = 1; stream < 10_000 && !socket.destroyed; stream += 2) {
    socket.write(Buffer.concat([frame(1, 4, stream, callHeader), frame(3, 0, stream, cancel)]));
    if (stream % 200 === 1) await new Promise(setImmediate);
  }
  await closed;
  await stillServes(served);
  expect(served.listener.openCalls).toBe(0);
});

test("a flood of SETTINGS, of PING or of CONTINUATION ends the connection", async () => {
  const served = await serve();
  const floods = [
    () => frame(4, 0, 0),
    () => frame(6, 0, 0, Buffer.alloc(8)),
    () => frame(9, 0, 1, Buffer.from(`\x00\x03abc\x03def`)),
  ];
  for (const [index, flood] of floods.entries()) {
    const { socket, closed } = raw(served.port);
    // Answers are not read, so that they pile up.
    socket.pause();
    socket.write(Buffer.concat([preface, frame(4, 0, 0)]));
    if (index === 2) socket.write(frame(1, 0, 1, callHeader));
    const many = Buffer.concat(Array.from({ length: 5_000 }, flood));
    let ended = false;
    closed.then(() => {
      ended = true;
    });
    for (let round = 0; round < 400 && !ended && !socket.destroyed; round++) {
      socket.write(many);
      await new Promise((resolve) => setTimeout(resolve, 1));
      if (socket.writableLength > 4_000_000) socket.resume();
    }
    socket.resume();
    await closed;
  }
  await stillServes(served);
});

test("a prefix that announces 1 GiB is refused before a byte of it is there", async () => {
  const served = await serve();
  const session = connectHttp2(`http://127.0.0.1:${served.port}`);
  open.push({ close: () => session.destroy() });
  const status = gate<unknown>();
  const stream = session.request({
    ":method": "POST",
    ":path": "/micro.test.v1.EchoService/Echo",
    "content-type": "application/grpc",
    te: "trailers",
  });
  stream.on("error", () => undefined);
  stream.on("trailers", (trailers) => status.open(trailers["grpc-status"]));
  stream.on("response", (headers) => {
    if ("grpc-status" in headers) status.open(headers["grpc-status"]);
  });
  stream.resume();
  stream.write(Buffer.of(0, 0x40, 0, 0, 0));
  expect(await status.promise).toBe("8");
  await stillServes(served);
});

test("a bomb of gzip is refused at the limit", async () => {
  const served = await serve({ maxMessageBytes: 100_000 });
  const answer = await fetch(`http://127.0.0.1:${served.port}/micro.test.v1.EchoService/Echo`, {
    method: "POST",
    headers: { "content-type": "application/proto", "content-encoding": "gzip" },
    body: gzipSync(Buffer.alloc(50_000_000)),
  });
  expect(answer.status).toBe(429);
  expect(await answer.json()).toMatchObject({ code: "resource_exhausted" });
});

test("a header that comes byte by byte, and half a preface, are closed", async () => {
  const served = await serve({ handshakeTimeoutMs: 300 });
  const slow = raw(served.port);
  const slowly = setInterval(() => slow.socket.write("P"), 50);
  const half = raw(served.port);
  half.socket.write(preface.subarray(0, 20));
  await Promise.all([slow.closed, half.closed]);
  clearInterval(slowly);
  await stillServes(served);
});

test("many silent connections are closed, and calls go on meanwhile", async () => {
  const served = await serve({ handshakeTimeoutMs: 500 });
  const silent = Array.from({ length: 300 }, () => raw(served.port).closed);
  await stillServes(served);
  await Promise.all(silent);
  await expect.poll(() => served.listener.connections).toBeLessThanOrEqual(1);
});
