import { once } from "node:events";
import type { ServerHttp2Stream } from "node:http2";
import { type AddressInfo, createServer as createTcpServer } from "node:net";
import { gzipSync } from "node:zlib";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { createClient, Metadata } from "@micro-es/runtime";
import { expect, test } from "vitest";
import {
  all,
  failure,
  gate,
  outgoing,
  settled,
} from "../../../../../test/contract/transport-fixture.ts";
import {
  EchoRequestSchema,
  EchoResponseSchema,
} from "../../../../../test/gen/micro/test/v1/echo_pb.ts";
import {
  endHeaders,
  frame,
  headerLine,
  preface,
  types,
} from "../../../../../test/hostile/raw-http2.ts";
import { type EchoRequestInit, echo } from "../../../../../test/support/echo.ts";
import { FramePeer } from "../../../../../test/support/http2-peers.ts";
import {
  closeAfterEach,
  closeAfterTest,
  dialled,
  enveloped,
  serveByNode,
} from "../../../../../test/support/node-http2-server.ts";
import type { Http2Channel } from "./http2-channel.ts";

/** What Node's server, in the place of another gRPC server, makes of calls. */

closeAfterEach();

const response = (init: EchoRequestInit = {}) =>
  toBinary(EchoResponseSchema, create(EchoResponseSchema, init as object));
const head = { ":status": 200, "content-type": "application/grpc" };

function respond(stream: ServerHttp2Stream, extra = {}): void {
  stream.respond({ ...head, ...extra }, { waitForTrailers: true });
  stream.once("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
}

/** Responds to a unary call with a message. */
function complete(stream: ServerHttp2Stream, init: EchoRequestInit = {}): void {
  respond(stream);
  stream.end(enveloped(response(init)));
}

test("calls wait for the streams that the server allows, and end while they wait", async () => {
  const streams: ServerHttp2Stream[] = [];
  const server = await serveByNode((stream) => streams.push(stream), { maxConcurrentStreams: 2 });
  const channel = await dialled(server);
  const texts = Array.from({ length: 6 }, (_, index) => `call ${index}`);
  const controller = new AbortController();
  const cancelled = channel.unary.bind(channel, echo.once);
  const calls = texts.map((text) => channel.unary(echo.once, { text }, outgoing()));
  const late = failure(
    channel.unary(echo.once, {}, outgoing({ timeoutMs: 50 })),
    "deadline_exceeded",
    "not-executed",
  );
  const aborted = failure(
    cancelled({}, outgoing({ signal: controller.signal })),
    "canceled",
    "not-executed",
  );
  const stream = failure(
    all(channel.stream(echo.repeat, [{}], outgoing({ signal: controller.signal }))),
    "canceled",
    "not-executed",
  );
  expect(channel.openCalls).toBe(9);
  controller.abort();
  await Promise.all([late, aborted, stream]);
  const most: number[] = [];
  for (let index = 0; index < texts.length; index++) {
    await expect.poll(() => streams.length).toBeGreaterThan(index);
    most.push(streams.length - index);
    const chunks: Buffer[] = [];
    for await (const chunk of streams[index]!) chunks.push(chunk as Buffer);
    const { text } = fromBinary(EchoRequestSchema, Buffer.concat(chunks).subarray(5));
    complete(streams[index]!, { text });
  }
  expect((await Promise.all(calls)).map(({ text }) => text)).toEqual(texts);
  expect(Math.max(...most)).toBe(2);
  expect(channel.openCalls).toBe(0);
});

test("calls that wait are not executed when the server goes away, or the channel closes", async () => {
  const streams: ServerHttp2Stream[] = [];
  const server = await serveByNode((stream) => streams.push(stream), { maxConcurrentStreams: 1 });
  const channel = await dialled(server);
  const first = channel.unary(echo.once, {}, outgoing());
  const waiting = failure(channel.unary(echo.once, {}, outgoing()), "unavailable", "not-executed");
  await expect.poll(() => streams.length).toBe(1);
  streams[0]!.session?.goaway();
  await waiting;
  expect(channel.state).toBe("draining");
  complete(streams[0]!);
  await first;
  expect((await channel.closed)?.code).toBe("unavailable");
});

test("calls that a server has not seen before it went away run elsewhere", async () => {
  let calls = 0;
  const server = await serveByNode((stream) => {
    calls++;
    if (calls > 1) complete(stream, { text: "second" });
    // GOAWAY: the first stream was not processed.
    else server.sockets[0]!.write(Buffer.of(0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0));
  });
  await using client = createClient();
  const { message } = await client
    .unary(echo.once, {}, { address: server.address })
    .then((it) => ({ message: it as unknown as { text: string } }));
  expect(JSON.stringify(message)).toContain("second");
  expect(calls).toBe(2);
});

test("a call that is cancelled resets its stream, and only that", async () => {
  const [begun, codes] = [gate(), [] as (number | undefined)[]];
  const server = await serveByNode((stream) => {
    stream.once("close", () => codes.push(stream.rstCode));
    begun.open();
  });
  const channel = await dialled(server);
  const controller = new AbortController();
  const call = channel.unary(echo.once, {}, outgoing({ signal: controller.signal }));
  const failed = failure(call, "canceled", "unknown");
  await begun.promise;
  controller.abort();
  await failed;
  await expect.poll(() => codes).toEqual([8]);
  expect(channel.state).toBe("open");
});

test("a channel whose calls are cancelled again and again closes with the last of them", async () => {
  const streams: ServerHttp2Stream[] = [];
  const server = await serveByNode((stream) => streams.push(stream));
  const channel = await dialled(server);
  for (let round = 0; round < 600 && channel.state === "open"; round++) {
    const controller = new AbortController();
    const call = channel.unary(echo.once, {}, outgoing({ signal: controller.signal }));
    controller.abort();
    await failure(call, "canceled", "unknown");
  }
  expect((await channel.closed)?.message).toContain("calls that were cancelled");
});

test("many streams that the server ends before their requests are not resets", async () => {
  const codes = new Set<number | undefined>();
  const server = await serveByNode((stream) => {
    stream.once("close", () => codes.add(stream.rstCode));
    stream.resume();
    complete(stream);
  });
  const channel = await dialled(server);
  for (let round = 0; round < 30; round++) {
    const calls = Array.from({ length: 50 }, () => {
      const endless = {
        [Symbol.asyncIterator]: () => ({ next: () => new Promise<never>(() => {}) }),
      };
      return all(channel.stream(echo.chat, endless, outgoing()));
    });
    for (const responses of await Promise.all(calls)) expect(responses).toHaveLength(1);
  }
  expect(channel.state).toBe("open");
  expect([...codes]).toEqual([0]);
});

test("a server that responds to requests which it does not read makes the client hold none", async () => {
  const server = await serveByNode((stream) => complete(stream));
  const channel = await dialled(server);
  const payload = new Uint8Array(200_000);
  for (let round = 0; round < 100 && channel.state === "open"; round++) {
    const calls = Array.from({ length: 10 }, () =>
      channel.unary(echo.once, { payload }, outgoing()),
    );
    await Promise.all(calls);
  }
  // Servers tolerate only so many resets, and what waits for one takes a place.
  expect((await channel.closed)?.message).toContain("before their requests were read");
});

test("the header of a call has its timeout, metadata and encodings", async () => {
  const headers: Record<string, unknown>[] = [];
  const server = await serveByNode((stream, header) => {
    headers.push(header);
    complete(stream);
  });
  const channel = await dialled({ ...server, address: `${server.address}/prefix/` });
  const metadata = new Metadata([
    ["x-key", "one"],
    ["x-key", "two"],
    ["x-key-bin", Uint8Array.of(1, 2)],
    ["user-agent", "mine"],
  ]);
  const first = channel.unary(echo.once, {}, outgoing({ metadata, timeoutMs: 5_000 }));
  // A long turn must not lengthen the timeout of the next call.
  const until = performance.now() + 50;
  while (performance.now() < until);
  const second = channel.unary(echo.once, {}, outgoing({ timeoutMs: 5_000 }));
  await Promise.all([first, second]);
  await channel.unary(echo.once, {}, { ...outgoing(), deadline: Number.POSITIVE_INFINITY });
  await channel.unary(echo.once, {}, outgoing({ timeoutMs: 200_000_000 }));
  expect(headers[0]).toMatchObject({
    ":method": "POST",
    ":scheme": "http",
    ":authority": new URL(server.address).host,
    ":path": "/prefix/micro.test.v1.EchoService/Once",
    "content-type": "application/grpc+proto",
    te: "trailers",
    "grpc-accept-encoding": "gzip,br",
    "grpc-timeout": expect.stringMatching(/^(?:5000|4\d{3})m$/),
    "user-agent": "mine",
    "x-key": "one, two",
    "x-key-bin": "AQI",
  });
  expect(headers[1]).toMatchObject({
    "user-agent": "micro-es",
    "grpc-timeout": expect.stringMatching(/^(?:5000|49[5-9]\d)m$/),
  });
  expect(headers[2]).not.toHaveProperty("grpc-timeout");
  expect(headers[3]).toMatchObject({ "grpc-timeout": "200000S" });
});

test("metadata that is sent again has what was changed since, and nothing of other calls", async () => {
  const sent: unknown[] = [];
  const server = await serveByNode((stream, headers) => {
    sent.push([headers.authorization, headers.tenant]);
    complete(stream);
  });
  const channel = await dialled(server);
  const metadata = new Metadata({ authorization: "Bearer one" });
  const send = async (it = metadata) =>
    channel.unary(echo.once, {}, Object.assign(outgoing(), { metadata: it }));
  await send();
  await send(new Metadata(metadata).set("tenant", "a"));
  await send();
  metadata.set("authorization", "Bearer two");
  await send();
  expect(sent).toEqual([
    ["Bearer one", undefined],
    ["Bearer one", "a"],
    ["Bearer one", undefined],
    ["Bearer two", undefined],
  ]);
});

test.each([1, 3, 5_000])("messages that arrive in pieces of %d bytes", async (size) => {
  const payload = new Uint8Array(20_000).map((_, index) => index);
  const server = await serveByNode(async (stream) => {
    respond(stream);
    const bytes = Buffer.concat([1, 2, 3].map(() => enveloped(response({ payload }))));
    for (let at = 0; at < bytes.length; at += size) stream.write(bytes.subarray(at, at + size));
    stream.end();
  });
  const channel = await dialled(server);
  const responses = await all(channel.stream(echo.repeat, [{}], outgoing()));
  expect(responses.map((it) => Buffer.compare(it.payload, payload))).toEqual([0, 0, 0]);
});

test.each([
  ["large", 300_000, undefined],
  ["nearly as large as the window", 65_000, undefined],
  ["small", 1_000, undefined],
  ["compressed", 20_000, "gzip"],
] as const)("a server does not send more than the window of %s messages", async (...row) => {
  const [, size, encoding] = row;
  const payload = new Uint8Array(size).map((_, index) => index * 31 + (index >> 8));
  const message = response({ payload });
  const bytes = encoding === undefined ? enveloped(message) : enveloped(gzipSync(message), 1);
  let sent = 0;
  const server = await serveByNode((stream) => {
    respond(stream, encoding === undefined ? {} : { "grpc-encoding": encoding });
    const more = () => {
      while (sent < 2_000) {
        sent++;
        if (!stream.write(bytes)) {
          stream.once("drain", more);
          return;
        }
      }
      stream.end();
    };
    more();
  });
  const channel = await dialled(server, { streamWindowBytes: 65_536 });
  const reader = channel.stream(echo.repeat, [{}], outgoing())[Symbol.asyncIterator]();
  await reader.next();
  const held = (await settled(() => sent)) * bytes.length;
  // The window, a message, the same again decoded, and what Node buffers.
  expect(held).toBeLessThan(5 * 65_536 + 5 * bytes.length);
  for (let read = 1; read < 600; read++) {
    const { value } = await reader.next();
    expect(value?.payload.length).toBe(size);
  }
  await reader.return?.();
});

test.each([
  ["empty", response()],
  ["small", response({ text: "hi" })],
] as const)(
  "%s messages that are unread wait as bytes, and all of them arrive",
  async (_, message) => {
    const count = 9_000;
    const server = await serveByNode((stream, header) => {
      const isFailing = String(header[":path"]).endsWith("Chat");
      respond(stream, { "grpc-encoding": "gzip" });
      if (isFailing) stream.write(enveloped(gzipSync(message), 1));
      stream.write(Buffer.concat(Array.from({ length: count }, () => enveloped(message))));
      stream.end(isFailing ? Buffer.from([0, 0]) : undefined);
    });
    const channel = await dialled(server);
    const reader = channel.stream(echo.repeat, [{}], outgoing())[Symbol.asyncIterator]();
    await reader.next();
    await settled(() => (channel as Http2Channel).unreadCost);
    expect((channel as Http2Channel).unreadCost).toBeLessThan(70_000);
    let read = 1;
    while ((await reader.next()).done !== true) read++;
    expect(read).toBe(count);
    expect((channel as Http2Channel).unreadCost).toBe(0);

    const cutOff = channel.stream(echo.chat, [{}], outgoing())[Symbol.asyncIterator]();
    for (let index = 0; index < count + 1; index++) expect((await cutOff.next()).done).toBe(false);
    const error = await failure(cutOff.next(), "internal", "executed");
    expect(error.message).toContain("ends within a message");
  },
);

test("a stream on which the server violates HTTP/2 before it responds may have been executed", async () => {
  const raw = createTcpServer((socket) => {
    const peer = new FramePeer(socket, preface.length);
    peer.send(frame(types.settings, 0, 0), frame(types.settings, 1, 0));
    // A header without a status, for the streams of two calls.
    const block = headerLine("content-type", "application/grpc");
    socket.on("data", () => {
      for (const stream of [1, 3]) {
        if (peer.of(types.headers, stream).length > 0 && peer.reset(stream) === undefined)
          peer.send(frame(types.headers, endHeaders, stream, block));
      }
    });
  });
  raw.listen(0, "127.0.0.1");
  await once(raw, "listening");
  closeAfterTest(() => raw.close());
  const server = { address: `http://127.0.0.1:${(raw.address() as AddressInfo).port}` };
  const channel = await dialled(server);
  await failure(channel.unary(echo.once, {}, outgoing()), "unavailable", "unknown");
  const reader = channel.stream(echo.repeat, [{}], outgoing())[Symbol.asyncIterator]();
  await failure(reader.next(), "unavailable", "unknown");
});

test("responses that are compressed stay in order with those that are not", async () => {
  const texts = Array.from({ length: 40 }, (_, index) => `${index} `.repeat(index * 50));
  const server = await serveByNode((stream) => {
    respond(stream, { "grpc-encoding": "gzip" });
    for (const [index, text] of texts.entries()) {
      const message = response({ text });
      stream.write(index % 3 === 1 ? enveloped(gzipSync(message), 1) : enveloped(message));
    }
    stream.end();
  });
  const channel = await dialled(server);
  const responses = await all(channel.stream(echo.repeat, [{}], outgoing()));
  expect(responses.map(({ text }) => text)).toEqual(texts);
});

test("requests are compressed where the call allows it", async () => {
  const flags: (number | undefined)[] = [];
  const server = await serveByNode(async (stream, header) => {
    const chunks: Buffer[] = [];
    for await (const chunk of stream) chunks.push(chunk as Buffer);
    flags.push(Buffer.concat(chunks)[0]);
    expect(header["grpc-encoding"]).toBe(flags.length === 2 ? undefined : "gzip");
    complete(stream);
  });
  const channel = await dialled(server, { compression: "gzip" });
  const text = "compressible ".repeat(500);
  await channel.unary(echo.once, { text }, outgoing());
  await channel.unary(echo.once, { text }, { ...outgoing(), compress: false });
  await channel.unary(echo.once, { text: "short" }, outgoing());
  await all(channel.stream(echo.collect, [{ text }], outgoing()));
  const compress = () => false;
  await all(channel.stream(echo.collect, [{ text }], { ...outgoing(), compress }));
  expect(flags).toEqual([1, 0, 0, 1, 0]);
});

test("a request that is larger than the window is sent as the server reads", async () => {
  const server = await serveByNode(async (stream) => {
    let bytes = 0;
    for await (const chunk of stream) bytes += (chunk as Buffer).length;
    complete(stream, { text: String(bytes) });
  });
  const channel = await dialled(server);
  const calls = [1, 2, 3].map((count) =>
    channel.unary(echo.once, { payload: new Uint8Array(count * 1_000_000) }, outgoing()),
  );
  const lengths = (await Promise.all(calls)).map(({ text }) => Number(text));
  expect(lengths).toEqual([1_000_009, 2_000_009, 3_000_010]);
});
