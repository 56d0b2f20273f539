import { once } from "node:events";
import { connect, type IncomingHttpHeaders, type IncomingHttpStatusHeader } from "node:http2";
import { gunzipSync } from "node:zlib";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  Client,
  compressionAlgorithms,
  credentials,
  Metadata as GrpcMetadata,
  type ServiceError,
  status,
} from "@grpc/grpc-js";
import { type CallContext, MicroError } from "@micro-es/runtime";
import type { Dispatcher, TransportLimits } from "@micro-es/runtime/driver";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import {
  type EchoRequest,
  EchoRequestSchema,
  type EchoResponse,
  EchoResponseSchema,
} from "../../../../test/gen/micro/test/v1/echo_pb.ts";
import { type EchoRequestInit, echo } from "../../../../test/support/echo.ts";
import { RpcTestServer } from "../../../../test/support/rpc-server.ts";
import { requestCompressed } from "./compression/keys.ts";

const methods = new Map<string, (typeof echo)[keyof typeof echo]>(
  Object.values(echo).map((method) => [method.name, method]),
);
let seen: CallContext | undefined;
/** Handlers of streams begin to read when it resolves. */
let mayRead: Promise<void>;
/** What reading the requests has thrown. */
let thrown: unknown;

/** Does what its request asks for. */
const dispatcher: Dispatcher = {
  method: (name) => methods.get(name),
  unary(call, request) {
    seen = call;
    const { text } = request as EchoRequest;
    if (text === "fail") {
      call.trailers.append("x-trailer", "t");
      throw new MicroError("aborted", "100 % — no", {
        outcome: "executed",
        details: [{ typeName: "micro.test.v1.EchoRequest", value: new Uint8Array([10, 1, 104]) }],
      });
    }
    if (text === "broken") throw new TypeError("secret");
    if (text === "wait") return new Promise(() => undefined);
    call.responseMetadata.append("x-head", "h");
    call.trailers.append("x-bin", new Uint8Array([1, 2]));
    return Promise.resolve(request);
  },
  async *stream(call, requests) {
    seen = call;
    await mayRead;
    if (call.requestMetadata.get("x-mode") === "count") {
      let count = 0;
      try {
        for await (const _ of requests) count++;
      } catch (reason) {
        thrown = reason;
        throw reason;
      }
      yield { index: count };
      return;
    }
    if (call.method.kind === "client_streaming") {
      const texts: string[] = [];
      for await (const request of requests) texts.push((request as EchoRequest).text);
      yield { text: texts.join() };
      return;
    }
    for await (const request of requests) {
      const { text, count } = request as EchoRequest;
      if (text === "fail") throw new MicroError("not_found", "no");
      for (let index = 0; index < Math.max(1, count); index++) yield request;
    }
  },
};

let server: RpcTestServer;
let client: Client;

async function start(limits: Partial<TransportLimits> = {}): Promise<void> {
  server = await RpcTestServer.start(dispatcher, limits);
  client = new Client(`127.0.0.1:${server.port}`, credentials.createInsecure(), {
    "grpc.max_receive_message_length": -1,
  });
}

beforeEach(async () => {
  seen = undefined;
  mayRead = Promise.resolve();
  thrown = undefined;
  await start();
});
afterEach(async () => {
  await expect.poll(() => server.open).toBe(0);
  client.close();
  server.close();
  expect(server.incomplete).toBe(0);
});

const encode = (request: EchoRequest) => Buffer.from(toBinary(EchoRequestSchema, request));
const decode = (bytes: Buffer) => fromBinary(EchoResponseSchema, bytes);
const request = (init: EchoRequestInit) => create(EchoRequestSchema, init);

interface Outcome {
  readonly response: EchoResponse | undefined;
  readonly error: ServiceError | null;
  readonly head: GrpcMetadata | undefined;
  readonly trailers: GrpcMetadata | undefined;
}

function unary(
  init: EchoRequestInit,
  metadata = new GrpcMetadata(),
  options = {},
  path = `/${echo.echo.name}`,
): Promise<Outcome> {
  return new Promise((resolve) => {
    let head: GrpcMetadata | undefined;
    let trailers: GrpcMetadata | undefined;
    let result: Pick<Outcome, "response" | "error"> | undefined;
    const settle = () => {
      if (result !== undefined && trailers !== undefined) resolve({ ...result, head, trailers });
    };
    client
      .makeUnaryRequest(
        path,
        encode,
        decode,
        request(init),
        metadata,
        options,
        (error, response) => {
          result = { error, response };
          settle();
        },
      )
      .on("metadata", (value) => {
        head = value;
      })
      .on("status", (value) => {
        trailers = value.metadata;
        settle();
      });
  });
}

describe("grpc-js calls a unary method", () => {
  test("with metadata in both directions", async () => {
    const metadata = new GrpcMetadata();
    metadata.set("x-key", "value");
    metadata.set("x-key-bin", Buffer.of(1, 2, 255));
    for (let round = 0; round < 3; round++) {
      const { response, head, trailers } = await unary({ text: "hi" }, metadata);
      expect(response?.text).toBe("hi");
      expect(head?.get("x-head")).toEqual(["h"]);
      expect(trailers?.get("x-bin")).toEqual([Buffer.of(1, 2)]);
      expect(seen?.requestMetadata.get("x-key")).toBe("value");
      expect([...seen!.requestMetadata.getBinary("x-key-bin")!]).toEqual([1, 2, 255]);
    }
  });

  test.each([0, 3_000, 5_000, 100_000, 3_000_000])("with a message of %d bytes", async (size) => {
    const payload = new Uint8Array(size).map((_, at) => at * 7);
    const { response } = await unary({ payload });
    expect(Buffer.compare(response!.payload, payload)).toBe(0);
  });

  test("that fails, with its code, text, details and trailers", async () => {
    const { error, trailers } = await unary({ text: "fail" });
    expect(error).toMatchObject({ code: status.ABORTED, details: "100 % — no" });
    expect(trailers?.get("x-trailer")).toEqual(["t"]);
    expect(trailers?.get("micro-outcome")).toEqual(["executed"]);
    const [details] = trailers!.get("grpc-status-details-bin");
    expect(Buffer.from(details as Buffer).toString("latin1")).toContain(
      "type.googleapis.com/micro.test.v1.EchoRequest",
    );
  });

  test("whose handler is broken, without its secrets", async () => {
    const { error } = await unary({ text: "broken" });
    expect(error).toMatchObject({ code: status.INTERNAL });
    expect(error?.details).not.toContain("secret");
  });

  test("until its deadline", async () => {
    // A deadline of grpc-js' own would pass there first.
    const metadata = new GrpcMetadata();
    metadata.set("grpc-timeout", "300m");
    const { error, trailers } = await unary({ text: "wait" }, metadata);
    expect(error).toMatchObject({ code: status.DEADLINE_EXCEEDED });
    expect(trailers?.get("micro-outcome")).toEqual([]);
    expect(seen?.signal.reason).toMatchObject({ code: "deadline_exceeded" });
  });

  test("whose deadline passes while its request still comes", async () => {
    const metadata = new GrpcMetadata();
    metadata.set("grpc-timeout", "1n");
    const payload = new Uint8Array(1_000_000);
    const calls = Array.from({ length: 20 }, () => unary({ text: "wait", payload }, metadata));
    for (const { error } of await Promise.all(calls)) {
      expect(error?.code).toBe(status.DEADLINE_EXCEEDED);
    }
    await expect.poll(() => server.connections[0]!.http2.openStreams).toBe(0);
  });

  test("with too large a message", async () => {
    client.close();
    server.close();
    await start({ maxMessageBytes: 1_000 });
    const { error } = await unary({ payload: new Uint8Array(2_000) });
    expect(error?.code).toBe(status.RESOURCE_EXHAUSTED);
  });

  test("with a compressed request, within the limits of what may be inflated", async () => {
    client.close();
    const { port } = server;
    client = new Client(`127.0.0.1:${port}`, credentials.createInsecure(), {
      "grpc.default_compression_algorithm": compressionAlgorithms.gzip,
    });
    const text = "a".repeat(200_000);
    const { response } = await unary({ text });
    expect(response?.text).toBe(text);
    expect(seen?.get(requestCompressed)).toBe(true);
    seen = undefined;
    const { error, trailers } = await unary({ payload: new Uint8Array(3_000_000) });
    expect(error).toMatchObject({ code: status.RESOURCE_EXHAUSTED });
    expect(error?.details).toContain("maxInflationRatio");
    expect(trailers?.get("micro-outcome")).toEqual(["not-executed"]);
    const unknownFields = Buffer.alloc(3 * 100_000, Buffer.of(0xa0, 6, 0));
    const refusal = await new Promise<ServiceError | null>((resolve) => {
      const path = `/${echo.echo.name}`;
      client.makeUnaryRequest(path, (bytes: Buffer) => bytes, decode, unknownFields, resolve);
    });
    expect(refusal).toMatchObject({ code: status.RESOURCE_EXHAUSTED });
    expect(refusal?.details).toContain("elements");
    expect(seen).toBeUndefined();
  });

  test("and cancels it", async () => {
    const call = client.makeUnaryRequest(
      `/${echo.echo.name}`,
      encode,
      decode,
      request({ text: "wait" }),
      () => undefined,
    );
    await expect.poll(() => server.open).toBe(1);
    call.cancel();
    await expect.poll(() => seen?.signal.reason).toMatchObject({ code: "canceled" });
  });
});

describe("grpc-js calls a stream", () => {
  test("of responses, at the pace of its reader", async () => {
    const payload = new Uint8Array(10_000);
    const call = client.makeServerStreamRequest(
      `/${echo.repeat.name}`,
      encode,
      decode,
      request({ text: "hi", count: 200, payload }),
    );
    let count = 0;
    for await (const response of call) {
      expect((response as EchoResponse).text).toBe("hi");
      count++;
    }
    expect(count).toBe(200);
  });

  test("of requests", async () => {
    const texts = await new Promise<string | undefined>((resolve) => {
      const call = client.makeClientStreamRequest(
        `/${echo.collect.name}`,
        encode,
        decode,
        (_error, response?: EchoResponse) => resolve(response?.text),
      );
      for (let index = 0; index < 300; index++) call.write(request({ text: `${index}` }));
      call.end();
    });
    expect(texts?.split(",")).toHaveLength(300);
  });

  test("in both directions", async () => {
    const call = client.makeBidiStreamRequest(`/${echo.chat.name}`, encode, decode);
    const texts: string[] = [];
    call.on("data", (response: EchoResponse) => texts.push(response.text));
    for (const text of ["a", "b", "c"]) {
      call.write(request({ text }));
      await expect.poll(() => texts.at(-1)).toBe(text);
    }
    call.end();
    const [{ code }] = (await once(call, "status")) as [{ code: number }];
    expect(code).toBe(status.OK);
  });

  test("that fails while requests still come", async () => {
    const call = client.makeBidiStreamRequest(`/${echo.chat.name}`, encode, decode);
    call.on("data", () => undefined);
    const failed = new Promise<ServiceError>((resolve) => call.on("error", resolve));
    call.write(request({ text: "a" }));
    call.write(request({ text: "fail" }));
    const { code } = (await failed) as ServiceError;
    expect(code).toBe(status.NOT_FOUND);
    await expect.poll(() => server.connections[0]!.http2.openStreams).toBe(0);
  });

  test("and cancels it", async () => {
    const call = client.makeBidiStreamRequest(`/${echo.chat.name}`, encode, decode);
    call.on("error", () => undefined);
    call.write(request({ text: "a" }));
    await once(call, "data");
    call.cancel();
    await expect.poll(() => server.open).toBe(0);
    expect(server.connections[0]!.unreadCost).toBe(0);
  });
});

describe("a method that takes one request", () => {
  test.each([echo.echo, echo.repeat])("is not run by two, in $name", async ({ name }) => {
    const call = client.makeBidiStreamRequest(`/${name}`, encode, decode);
    call.on("data", () => undefined);
    const failed = new Promise<ServiceError>((resolve) => call.on("error", resolve));
    call.write(request({ text: "a" }));
    await roundTrip();
    call.write(request({ text: "b" }));
    expect((await failed).code).toBe(status.UNIMPLEMENTED);
    expect(seen).toBeUndefined();
  });

  test("counts its request as incomplete until that has ended", async () => {
    const call = client.makeBidiStreamRequest(`/${echo.echo.name}`, encode, decode);
    call.write(request({ payload: new Uint8Array(5_000) }));
    await expect.poll(() => server.incomplete).toBeGreaterThanOrEqual(5_000);
    const response = once(call, "data");
    call.end();
    expect(((await response)[0] as EchoResponse).payload).toHaveLength(5_000);
    expect(server.incomplete).toBe(0);
  });
});

describe("a stream", () => {
  const mode = new GrpcMetadata();
  mode.set("x-mode", "count");

  test("may send a client far more than its windows, as fast as it reads", async () => {
    const payload = new Uint8Array(1024 * 1024);
    const init = request({ count: 130, payload });
    const call = client.makeServerStreamRequest(`/${echo.repeat.name}`, encode, decode, init);
    let count = 0;
    for await (const _ of call) count++;
    expect(count).toBe(130);
  });

  test("of empty messages takes no more memory than their bytes until they are read", async () => {
    let read: () => void = () => undefined;
    mayRead = new Promise((resolve) => {
      read = resolve;
    });
    const { stream, session } = rawStream(echo.collect.name, { "x-mode": "count" });
    const count = 200_000;
    stream.end(Buffer.alloc(5 * count));
    await expect.poll(() => server.connections[0]?.http2.unreadBytes).toBeGreaterThan(200_000);
    expect(server.connections[0]!.unreadCost).toBeLessThan(100_000);
    read();
    const pieces: Buffer[] = [];
    for await (const piece of stream) pieces.push(piece as Buffer);
    session.destroy();
    expect(decode(Buffer.concat(pieces).subarray(5)).index).toBe(count);
  });

  test("that has begun reports no outcome for a request that is too large", async () => {
    client.close();
    server.close();
    await start({ maxMessageBytes: 1_000 });
    const call = client.makeBidiStreamRequest(`/${echo.chat.name}`, encode, decode);
    const failed = new Promise<ServiceError>((resolve) => call.on("error", resolve));
    call.write(request({ text: "a" }));
    await once(call, "data");
    call.write(request({ payload: new Uint8Array(2_000) }));
    const error = await failed;
    expect(error.code).toBe(status.RESOURCE_EXHAUSTED);
    expect(error.metadata.get("micro-outcome")).toEqual([]);
  });

  test("fails for its handler with the reason for which it ends", async () => {
    const metadata = mode.clone();
    metadata.set("grpc-timeout", "200m");
    const call = client.makeBidiStreamRequest(`/${echo.chat.name}`, encode, decode, metadata);
    call.on("data", () => undefined);
    const failed = new Promise<ServiceError>((resolve) => call.on("error", resolve));
    call.write(request({ text: "a" }));
    expect((await failed).code).toBe(status.DEADLINE_EXCEEDED);
    await expect.poll(() => thrown).toMatchObject({ code: "deadline_exceeded" });
  });
});

test("a call is open until the client has read its response", async () => {
  const { stream, session } = rawStream(echo.echo.name);
  const payload = new Uint8Array(500_000);
  const message = encode(request({ payload }));
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(message.length, 1);
  stream.end(Buffer.concat([prefix, message]));
  await once(stream, "response");
  expect(server.open).toBe(1);
  stream.resume();
  await once(stream, "end");
  await expect.poll(() => server.open).toBe(0);
  session.destroy();
});

test("spaces at the ends of metadata are removed", async () => {
  const metadata = new GrpcMetadata();
  metadata.set("x-a", " value ");
  expect((await unary({ text: "hi" }, metadata)).error).toBeNull();
  expect(seen?.requestMetadata.get("x-a")).toBe("value");
});

/** Opens a gRPC stream of Node's HTTP/2, whose bytes the test sends itself. */
function rawStream(name: string, lines: object = {}) {
  const { port } = server;
  const session = connect(`http://127.0.0.1:${port}`);
  const stream = session.request({
    ":method": "POST",
    ":path": `/${name}`,
    "content-type": "application/grpc",
    te: "trailers",
    ...lines,
  });
  return { stream, session };
}

describe("Connect calls a unary method", () => {
  test("in protobuf's binary format", async () => {
    const body = encode(request({ text: "hi" }));
    const { headers, bytes } = await post("application/proto", body, { "x-key": "value" });
    expect(headers[":status"]).toBe(200);
    expect(headers["content-type"]).toBe("application/proto");
    expect(headers["x-head"]).toBe("h");
    expect(headers["trailer-x-bin"]).toBe("AQI");
    expect(decode(bytes).text).toBe("hi");
    expect(seen?.requestMetadata.get("x-key")).toBe("value");
  });

  test.each([0, 5_000, 100_000, 3_000_000])("in JSON, with %d characters", async (size) => {
    const text = "é".repeat(size / 2);
    const { headers, bytes } = await post("application/json", JSON.stringify({ text, count: 3 }));
    expect(headers["content-type"]).toBe("application/json");
    expect(JSON.parse(bytes.toString())).toEqual(size === 0 ? {} : { text });
  });

  test("and gets a large response compressed, if it accepts that", async () => {
    const text = "a".repeat(5_000);
    const body = JSON.stringify({ text });
    const { headers, bytes } = await post("application/json", body, {
      "accept-encoding": "zstd, gzip",
    });
    expect(headers["content-encoding"]).toBe("gzip");
    expect(JSON.parse(gunzipSync(bytes).toString())).toEqual({ text });
  });

  test("that fails, with its status, text, details and trailers", async () => {
    const { headers, bytes } = await post("application/proto", encode(request({ text: "fail" })));
    expect(headers[":status"]).toBe(409);
    expect(headers["content-type"]).toBe("application/json");
    expect(headers["micro-outcome"]).toBe("executed");
    expect(headers["trailer-x-trailer"]).toBe("t");
    expect(JSON.parse(bytes.toString())).toEqual({
      code: "aborted",
      message: "100 % — no",
      details: [{ type: "micro.test.v1.EchoRequest", value: "CgFo" }],
    });
  });

  test("with bytes that are not a message", async () => {
    const { headers, bytes } = await post("application/json", '{"text":');
    expect(headers[":status"]).toBe(400);
    expect(headers["micro-outcome"]).toBe("not-executed");
    expect(JSON.parse(bytes.toString())).toMatchObject({ code: "invalid_argument" });
    expect(seen).toBeUndefined();
  });

  test("with too large a message", async () => {
    client.close();
    server.close();
    await start({ maxMessageBytes: 1_000 });
    const { headers, bytes } = await post("application/json", `{"text":"${"a".repeat(2_000)}"}`);
    expect(headers[":status"]).toBe(429);
    expect(JSON.parse(bytes.toString())).toMatchObject({ code: "resource_exhausted" });
  });

  test("until its deadline", async () => {
    const { headers } = await post("application/json", '{"text":"wait"}', {
      "connect-timeout-ms": "200",
    });
    expect(headers[":status"]).toBe(504);
    expect(seen?.signal.reason).toMatchObject({ code: "deadline_exceeded" });
  });
});

interface Posted {
  readonly headers: IncomingHttpHeaders & IncomingHttpStatusHeader;
  readonly bytes: Buffer;
}

/** Sends a request to the unary method by Node's HTTP/2. */
async function post(type: string, body: string | Buffer, lines: object = {}): Promise<Posted> {
  const { port } = server;
  const session = connect(`http://127.0.0.1:${port}`);
  try {
    const stream = session.request({
      ":method": "POST",
      ":path": `/${echo.echo.name}`,
      "content-type": type,
      ...lines,
    });
    stream.end(body);
    const [headers] = (await once(stream, "response")) as [Posted["headers"]];
    const pieces: Buffer[] = [];
    for await (const piece of stream) pieces.push(piece as Buffer);
    return { headers, bytes: Buffer.concat(pieces) };
  } finally {
    session.destroy();
  }
}

/** Returns when the server has read everything that was sent so far. */
async function roundTrip(): Promise<void> {
  const before = seen;
  await unary({ text: "round trip" });
  seen = before;
}
