import type { ServerHttp2Stream } from "node:http2";
import { brotliCompressSync, gunzipSync, gzipSync } from "node:zlib";
import { create, fromBinary, fromJsonString, toBinary } from "@bufbuild/protobuf";
import { Metadata } from "@micro-es/runtime";
import { expect, test } from "vitest";
import { all, failure, outgoing } from "../../../../../test/contract/transport-fixture.ts";
import {
  EchoRequestSchema,
  EchoResponseSchema,
} from "../../../../../test/gen/micro/test/v1/echo_pb.ts";
import { echo } from "../../../../../test/support/echo.ts";
import {
  closeAfterEach,
  dialled,
  enveloped,
  serveByNode,
} from "../../../../../test/support/node-http2-server.ts";

closeAfterEach();

const connect = { protocol: "connect" } as const;
const response = (text: string) =>
  toBinary(EchoResponseSchema, create(EchoResponseSchema, { text }));
const unary = { ":status": 200, "content-type": "application/proto" };
const streamed = { ":status": 200, "content-type": "application/connect+proto" };
const endFlag = 2;

interface Request {
  readonly header: Record<string, unknown>;
  readonly body: Buffer;
}

/** Serves by what `respond` makes of each request, and records the requests. */
async function serve(respond: (stream: ServerHttp2Stream, request: Request) => void) {
  const requests: Request[] = [];
  const server = await serveByNode(async (stream, header) => {
    const pieces: Buffer[] = [];
    for await (const piece of stream) pieces.push(piece as Buffer);
    const request = { header, body: Buffer.concat(pieces) };
    requests.push(request);
    respond(stream, request);
  });
  return { ...server, requests };
}

/** Opens a channel to a server that responds to everything in this way. */
async function dialledTo(header: object, body: Uint8Array | string, options = {}) {
  const server = await serve((stream) => {
    stream.respond({ ...header });
    stream.end(body);
  });
  return dialled(server, { ...connect, ...options });
}

test("a unary call is its message, and has metadata, trailers and a timeout in the header", async () => {
  const server = await serve((stream) => {
    const trailers = { "trailer-x-cost": ["1", "2"], "trailer-sum-bin": "AP8" };
    stream.respond({ ...unary, "x-served": "here", ...trailers });
    stream.end(response("hi"));
  });
  const channel = await dialled({ address: `${server.address}/prefix/` }, connect);
  const metadata = new Metadata([
    ["x-key", "one"],
    ["x-key", "two"],
    ["user-agent", "mine"],
  ]);
  const call = outgoing({ metadata, timeoutMs: 5_000 });
  expect(await channel.unary(echo.once, { text: "ask" }, call)).toMatchObject({ text: "hi" });
  expect(call.responseMetadata?.get("x-served")).toBe("here");
  expect(call.responseMetadata?.has("trailer-x-cost")).toBe(false);
  expect(call.trailers?.getAll("x-cost").join(", ")).toBe("1, 2");
  expect(call.trailers?.getBinary("sum-bin")).toEqual(Uint8Array.of(0, 255));
  await channel.unary(echo.once, {}, { ...outgoing(), deadline: Number.POSITIVE_INFINITY });
  const [first, second] = server.requests;
  expect(fromBinary(EchoRequestSchema, first!.body)).toMatchObject({ text: "ask" });
  expect(first!.header).toMatchObject({
    ":method": "POST",
    ":path": "/prefix/micro.test.v1.EchoService/Once",
    "content-type": "application/proto",
    "connect-protocol-version": "1",
    "connect-timeout-ms": expect.stringMatching(/^(?:5000|4\d{3})$/),
    "accept-encoding": "gzip,br",
    "user-agent": "mine",
    "x-key": "one, two",
  });
  expect(first!.header).not.toHaveProperty("te");
  expect(second!.header).toMatchObject({ "user-agent": "micro-es" });
  expect(second!.header).not.toHaveProperty("connect-timeout-ms");
});

test("only requests that are compressed have a content coding", async () => {
  const server = await serve((stream) => {
    stream.respond(unary);
    stream.end(response(""));
  });
  const channel = await dialled(server, { ...connect, compression: "gzip" });
  const text = "compressible ".repeat(500);
  await channel.unary(echo.once, { text }, outgoing());
  await channel.unary(echo.once, { text }, { ...outgoing(), compress: false });
  await channel.unary(echo.once, { text: "short" }, outgoing());
  const encodings = server.requests.map(({ header }) => header["content-encoding"]);
  expect(encodings).toEqual(["gzip", undefined, undefined]);
  const [compressed, plain] = server.requests;
  expect(gunzipSync(compressed!.body)).toEqual(plain!.body);
});

test.each([
  ["identity", (body: Uint8Array) => body],
  ["GZIP", gzipSync],
  ["br", brotliCompressSync],
])("a response is inflated by its content coding: %s", async (coding, compress) => {
  const text = "text ".repeat(5_000);
  const channel = await dialledTo(
    { ...unary, "content-encoding": coding },
    compress(response(text)),
  );
  expect(await channel.unary(echo.once, {}, outgoing())).toMatchObject({ text });
});

test.each([1, 3, 5_000])("a response arrives in pieces of %d bytes", async (size) => {
  const text = "0123456789".repeat(1_000);
  const server = await serve((stream) => {
    stream.respond(unary);
    const bytes = response(text);
    for (let at = 0; at < bytes.length; at += size) stream.write(bytes.subarray(at, at + size));
    stream.end();
  });
  const channel = await dialled(server, connect);
  expect(await channel.unary(echo.once, {}, outgoing())).toMatchObject({ text });
});

test("a response without a body is an empty message", async () => {
  const server = await serve((stream) => stream.respond(unary, { endStream: true }));
  const channel = await dialled(server, connect);
  expect(await channel.unary(echo.once, {}, outgoing())).toMatchObject({ text: "" });
});

test.each([
  ["announced", { "content-length": 200_000 }],
  ["not announced", {}],
])("a response over the limit is resource_exhausted, its length being %s", async (_, header) => {
  const options = { maxMessageBytes: 100_000 };
  const channel = await dialledTo({ ...unary, ...header }, Buffer.alloc(200_000), options);
  const error = await failure(
    channel.unary(echo.once, {}, outgoing()),
    "resource_exhausted",
    "executed",
  );
  expect(error.message).toContain("100000");
});

test.each([
  ["of 300,000 bytes", JSON.stringify({ code: "not_found", message: "x".repeat(300_000) })],
  ["of 5,000 values", JSON.stringify({ code: "not_found", details: Array(5_000).fill(1) })],
])("an error %s is resource_exhausted", async (_, body) => {
  const channel = await dialledTo({ ":status": 404, "content-type": "application/json" }, body);
  await failure(channel.unary(echo.once, {}, outgoing()), "resource_exhausted", "executed");
});

test("an error has its code, text, details, outcome, push-back, metadata and trailers", async () => {
  const body = gzipSync(
    JSON.stringify({
      code: "failed_precondition",
      message: "not now",
      details: [{ type: "google.protobuf.Duration", value: "CAM" }],
    }),
  );
  const header = {
    ":status": 400,
    "content-type": "application/json",
    "content-encoding": "gzip",
    "micro-outcome": "not-executed",
    "grpc-retry-pushback-ms": "120",
    "x-served": "here",
    "trailer-x-cost": "7",
  };
  const channel = await dialledTo(header, body);
  const call = outgoing();
  const error = await failure(
    channel.unary(echo.once, {}, call),
    "failed_precondition",
    "not-executed",
  );
  expect(error).toMatchObject({
    message: "not now",
    retryAfterMs: 120,
    details: [{ typeName: "google.protobuf.Duration", value: Uint8Array.of(8, 3) }],
  });
  expect(call.responseMetadata?.get("x-served")).toBe("here");
  expect(call.trailers?.get("x-cost")).toBe("7");
});

test.each([
  [{ ":status": 503, "content-type": "text/html" }, "unavailable"],
  [{ ":status": 200, "content-type": "text/html" }, "unknown"],
  [{ ":status": 200, "content-type": "application/json" }, "internal"],
  [streamed, "internal"],
  [{ ...unary, "content-encoding": "zstd" }, "internal"],
] as const)("a unary response with the header %j is %s", async (header, code) => {
  const channel = await dialledTo(header, "?");
  await failure(channel.unary(echo.once, {}, outgoing()), code, "unknown");
});

test.each([
  [{ ":status": 503, "content-type": "application/json" }, "unavailable"],
  [unary, "internal"],
  [{ ...streamed, "connect-content-encoding": "zstd" }, "internal"],
] as const)("a streamed response with the header %j is %s", async (header, code) => {
  const channel = await dialledTo(header, "{}");
  await failure(all(channel.stream(echo.repeat, [{}], outgoing())), code, "unknown");
});

test.each([
  ["binary", "base64=1&encoding=proto&message=CgNoaSE", {}],
  ["json", "encoding=json&message=%7B%22text%22%3A%22hi!%22%7D", { compression: "gzip" }],
] as const)("methods without side effects are called by GET, in %s", async (...row) => {
  const [encoding, query, options] = row;
  const server = await serve((stream) => {
    stream.respond({
      ...unary,
      "content-type": `application/${encoding === "json" ? encoding : "proto"}`,
    });
    stream.end(encoding === "json" ? '{"text":"got"}' : response("got"));
  });
  const all = { ...connect, encoding, get: true, compressMinBytes: 0, ...options };
  const channel = await dialled(server, all);
  const metadata = new Metadata([["x-key", "one"]]);
  const call = outgoing({ metadata, timeoutMs: 5_000 });
  expect(await channel.unary(echo.echo, { text: "hi!" }, call)).toMatchObject({ text: "got" });
  await channel.unary(echo.once, {}, outgoing());
  expect(server.requests[0]!.body).toHaveLength(0);
  expect(server.requests.map(({ header }) => header[":method"])).toEqual(["GET", "POST"]);
  const { header } = server.requests[0]!;
  expect(header[":path"]).toBe(`/micro.test.v1.EchoService/Echo?connect=v1&${query}`);
  expect(header).toMatchObject({ "x-key": "one", "user-agent": "micro-es" });
  expect(header).toHaveProperty("connect-timeout-ms");
  expect(header).not.toHaveProperty("content-type");
});

test.each([
  ["binary", "a", 5_940],
  ["json", "ä", 1_318],
] as const)(
  "a request whose path would exceed 8,000 bytes is sent by POST, in %s",
  async (...row) => {
    const [encoding, letter, most] = row;
    const server = await serve((stream) => {
      const isJson = encoding === "json";
      stream.respond({ ...unary, "content-type": `application/${isJson ? encoding : "proto"}` });
      stream.end(isJson ? "{}" : response(""));
    });
    const plain = await dialled(server, { ...connect, encoding, get: true });
    for (const length of [most, most + 1, 1_000_000]) {
      await plain.unary(echo.echo, { text: letter.repeat(length) }, outgoing());
    }
    const { header, body } = server.requests[1]!;
    expect(server.requests[0]!.header[":path"]).toSatisfy((path: string) => path.length <= 8_000);
    expect(server.requests.map((it) => it.header[":method"])).toEqual(["GET", "POST", "POST"]);
    expect(header[":path"]).toBe("/micro.test.v1.EchoService/Echo");
    expect(body.includes(letter.repeat(most + 1))).toBe(true);
    const compressing = await dialled(server, {
      ...connect,
      encoding,
      get: true,
      compression: "gzip",
    });
    for (const length of [most, most + 1]) {
      await compressing.unary(echo.echo, { text: letter.repeat(length) }, outgoing());
    }
    const [fits, large] = server.requests.slice(3);
    expect(fits!.header[":method"]).toBe("GET");
    expect(large!.header).toMatchObject({ ":method": "POST", "content-encoding": "gzip" });
    expect(gunzipSync(large!.body).equals(body)).toBe(true);
  },
);

test("JSON is sent and read", async () => {
  const server = await serve((stream) => {
    stream.respond({ ":status": 200, "content-type": "application/json; charset=utf-8" });
    stream.end('{"text":"hi","unknown":1}');
  });
  const channel = await dialled(server, { ...connect, encoding: "json" });
  const request = { text: "ask", payload: Uint8Array.of(1, 2) };
  expect(await channel.unary(echo.once, request, outgoing())).toMatchObject({ text: "hi" });
  const [{ header, body }] = server.requests as [Request];
  expect(header["content-type"]).toBe("application/json");
  expect(fromJsonString(EchoRequestSchema, body.toString())).toMatchObject(request);
});

test("a method whose codecs have no descriptor cannot be called in JSON", async () => {
  const channel = await dialledTo(unary, "", { encoding: "json" });
  const { schema: _, ...output } = echo.once.output;
  const method = { ...echo.once, output };
  await failure(channel.unary(method, {}, outgoing()), "unimplemented", "not-executed");
  const stream = { ...echo.repeat, output };
  await failure(all(channel.stream(stream, [{}], outgoing())), "unimplemented", "not-executed");
});

test.each([1, 6, 10_000])(
  "a stream whose end has metadata arrives in pieces of %d",
  async (size) => {
    const texts = ["a", "b".repeat(3_000), "c"];
    const end = { metadata: { "x-many": ["a", "b"], "x-bin": ["AQI"] } };
    const body = Buffer.concat([
      ...texts.map((text) => enveloped(gzipSync(response(text)), 1)),
      enveloped(gzipSync(JSON.stringify(end)), endFlag | 1),
    ]);
    const server = await serve((stream) => {
      stream.respond({ ...streamed, "connect-content-encoding": "gzip", "x-served": "here" });
      for (let at = 0; at < body.length; at += size) stream.write(body.subarray(at, at + size));
      stream.end();
    });
    const channel = await dialled(server, {
      ...connect,
      compression: "gzip",
      compressMinBytes: 100,
    });
    const call = outgoing();
    const requests = [{ text: "short" }, { text: "long ".repeat(100) }];
    const responses = await all(channel.stream(echo.chat, requests, call));
    expect(responses.map(({ text }) => text)).toEqual(texts);
    expect(call.responseMetadata?.get("x-served")).toBe("here");
    expect(call.trailers?.getAll("x-many")).toEqual(["a", "b"]);
    expect(call.trailers?.getBinary("x-bin")).toEqual(Uint8Array.of(1, 2));
    const [{ header, body: sent }] = server.requests as [Request];
    expect(header).toMatchObject({
      "content-type": "application/connect+proto",
      "connect-protocol-version": "1",
      "connect-content-encoding": "gzip",
      "connect-accept-encoding": "gzip,br",
    });
    expect([sent[0], sent[5 + sent.readUInt32BE(1)]]).toEqual([0, 1]);
  },
);

test("an error at the end of a stream has its parts, after the messages before it", async () => {
  const error = {
    code: "aborted",
    message: "enough",
    details: [{ type: "google.protobuf.Duration", value: "CAM=" }],
  };
  const metadata = { "micro-outcome": ["executed"], "x-end": ["here"] };
  const end = enveloped(JSON.stringify({ error, metadata }), endFlag);
  const channel = await dialledTo(streamed, Buffer.concat([enveloped(response("a")), end]));
  const call = outgoing();
  const reader = channel.stream(echo.repeat, [{}], call)[Symbol.asyncIterator]();
  expect((await reader.next()).value).toMatchObject({ text: "a" });
  const failed = await failure(reader.next(), "aborted", "executed");
  expect(failed).toMatchObject({ message: "enough", details: [{ value: Uint8Array.of(8, 3) }] });
  expect(call.trailers?.get("x-end")).toBe("here");
});
