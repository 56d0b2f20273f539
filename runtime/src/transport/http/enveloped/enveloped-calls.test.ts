import { once } from "node:events";
import { connect, type IncomingHttpHeaders, type IncomingHttpStatusHeader } from "node:http2";
import { gunzipSync, gzipSync } from "node:zlib";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { type CallContext, MicroError } from "@micro-es/runtime";
import type { Dispatcher } from "@micro-es/runtime/driver";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import {
  type EchoRequest,
  EchoRequestSchema,
  EchoResponseSchema,
} from "../../../../../test/gen/micro/test/v1/echo_pb.ts";
import { type EchoRequestInit, echo } from "../../../../../test/support/echo.ts";
import { RpcTestServer } from "../../../../../test/support/rpc-server.ts";
import { requestCompressed } from "../compression/keys.ts";

const methods = new Map<string, (typeof echo)[keyof typeof echo]>(
  Object.values(echo).map((method) => [method.name, method]),
);
let seen: CallContext | undefined;

function fail(call: CallContext, { text }: EchoRequest): void {
  if (text !== "fail") return;
  call.trailers.append("x-trailer", "t");
  throw new MicroError("aborted", "100 % — no", {
    outcome: "executed",
    retryAfterMs: 20,
    details: [{ typeName: "micro.test.v1.EchoRequest", value: new Uint8Array([10, 1, 104]) }],
  });
}

const dispatcher: Dispatcher = {
  method: (name) => methods.get(name),
  unary(call, request) {
    seen = call;
    if ((request as EchoRequest).text === "wait") return new Promise(() => undefined);
    fail(call, request as EchoRequest);
    call.responseMetadata.append("x-head", "h");
    call.trailers.append("x-bin", new Uint8Array([1, 2]));
    return request;
  },
  async *stream(call, requests) {
    seen = call;
    const texts: string[] = [];
    for await (const each of requests) {
      const request = each as EchoRequest;
      fail(call, request);
      texts.push(call.get(requestCompressed) ? `compressed ${request.text}` : request.text);
      if (call.method.kind === "client_streaming") continue;
      for (let index = 0; index < Math.max(1, request.count); index++) {
        yield { text: texts.at(-1), payload: request.payload };
      }
    }
    if (call.method.kind === "client_streaming") yield { text: texts.join() };
  },
};

let server: RpcTestServer;

beforeEach(async () => {
  seen = undefined;
  server = await RpcTestServer.start(dispatcher);
});
afterEach(async () => {
  await expect.poll(() => server.open).toBe(0);
  server.close();
  expect(server.incomplete).toBe(0);
  for (const { unreadCost } of server.connections) expect(unreadCost).toBe(0);
});

const message = (init: EchoRequestInit) =>
  Buffer.from(toBinary(EchoRequestSchema, create(EchoRequestSchema, init)));
const json = (init: object) => Buffer.from(JSON.stringify(init));
const textOf = ({ flags, data }: Frame) =>
  fromBinary(EchoResponseSchema, flags === 1 ? gunzipSync(data) : data).text;

interface Frame {
  readonly flags: number;
  readonly data: Buffer;
}

const plain = (data: Buffer): Frame => ({ flags: 0, data });
const zipped = (data: Buffer): Frame => ({ flags: 1, data: gzipSync(data) });

interface Answer {
  readonly headers: IncomingHttpHeaders & IncomingHttpStatusHeader;
  readonly frames: readonly Frame[];
}

/** Calls a method by Node's HTTP/2, and returns the frames of the response. */
async function call(
  type: string,
  { name }: { readonly name: string },
  frames: readonly Frame[],
  lines: Record<string, string> = {},
): Promise<Answer> {
  const session = connect(`http://127.0.0.1:${server.port}`);
  try {
    const stream = session.request({
      ":method": "POST",
      ":path": `/${name}`,
      "content-type": `application/${type}`,
      ...lines,
    });
    stream.end(Buffer.concat(frames.map(framed)));
    const [headers] = (await once(stream, "response")) as [Answer["headers"]];
    const pieces: Buffer[] = [];
    for await (const piece of stream) pieces.push(piece as Buffer);
    return { headers, frames: split(Buffer.concat(pieces)) };
  } finally {
    session.destroy();
  }
}

function framed({ flags, data }: Frame): Buffer {
  const prefix = Buffer.of(flags, 0, 0, 0, 0);
  prefix.writeUInt32BE(data.length, 1);
  return Buffer.concat([prefix, data]);
}

function split(bytes: Buffer): Frame[] {
  const frames: Frame[] = [];
  for (let at = 0; at < bytes.length; ) {
    const end = at + 5 + bytes.readUInt32BE(at + 1);
    frames.push({ flags: bytes[at]!, data: bytes.subarray(at + 5, end) });
    at = end;
  }
  return frames;
}

/** The status and trailers of gRPC-Web. */
function webEnd({ frames }: Answer): Record<string, string> {
  const { flags, data } = frames.at(-1)!;
  expect(flags).toBe(0x80);
  const lines = data.toString().trimEnd().split("\r\n");
  return Object.fromEntries(lines.map((line) => line.split(": ")));
}

/** The end of a Connect stream. */
function connectEnd({ headers, frames }: Answer): unknown {
  expect(headers[":status"]).toBe(200);
  const { flags, data } = frames.at(-1)!;
  expect(flags).toBe(2);
  return JSON.parse(data.toString());
}

describe("gRPC-Web calls", () => {
  test("a unary method, with metadata in both directions", async () => {
    for (const type of ["grpc-web", "grpc-web+proto"]) {
      const frames = [plain(message({ text: "hi" }))];
      const answer = await call(type, echo.echo, frames, { "x-key": "value" });
      expect(answer.headers).toMatchObject({
        ":status": 200,
        "content-type": "application/grpc-web+proto",
        "x-head": "h",
      });
      expect(textOf(answer.frames[0]!)).toBe("hi");
      expect(webEnd(answer)).toEqual({ "grpc-status": "0", "x-bin": "AQI" });
      expect(seen?.requestMetadata.get("x-key")).toBe("value");
    }
  });

  test("a unary method in JSON", async () => {
    const answer = await call("grpc-web+json", echo.echo, [plain(json({ text: "hi" }))]);
    expect(answer.headers["content-type"]).toBe("application/grpc-web+json");
    expect(JSON.parse(answer.frames[0]!.data.toString())).toEqual({ text: "hi" });
    expect(webEnd(answer)["grpc-status"]).toBe("0");
  });

  test.each([echo.echo, echo.chat])("a method that fails: $name", async (method) => {
    const answer = await call("grpc-web", method, [plain(message({ text: "fail" }))]);
    expect(answer.headers[":status"]).toBe(200);
    expect(answer.frames).toHaveLength(1);
    expect(webEnd(answer)).toMatchObject({
      "grpc-status": "10",
      "grpc-message": "100 %25 %E2%80%94 no",
      "grpc-status-details-bin": expect.stringMatching(/^\S+$/),
      "grpc-retry-pushback-ms": "20",
      "micro-outcome": "executed",
      "x-trailer": "t",
    });
  });

  test("streams of each kind", async () => {
    const two = [plain(message({ text: "a" })), plain(message({ text: "b", count: 2 }))];
    const repeated = await call("grpc-web", echo.repeat, two.slice(1));
    expect(repeated.frames.slice(0, -1).map(textOf)).toEqual(["b", "b"]);
    const collected = await call("grpc-web", echo.collect, two);
    expect(collected.frames.slice(0, -1).map(textOf)).toEqual(["a,b"]);
    const chatted = await call("grpc-web", echo.chat, two);
    expect(chatted.frames.slice(0, -1).map(textOf)).toEqual(["a", "b", "b"]);
    expect(webEnd(chatted)).toEqual({ "grpc-status": "0" });
  });

  test("until a deadline", async () => {
    const frames = [plain(message({ text: "wait" }))];
    const answer = await call("grpc-web", echo.echo, frames, { "grpc-timeout": "100m" });
    expect(webEnd(answer)["grpc-status"]).toBe("4");
    expect(seen?.signal.reason).toMatchObject({ code: "deadline_exceeded" });
  });

  test("no handler with a message that cannot be read", async () => {
    const answer = await call("grpc-web", echo.echo, [plain(Buffer.of(0xff))]);
    expect(webEnd(answer)).toMatchObject({ "grpc-status": "13", "micro-outcome": "not-executed" });
    expect(seen).toBeUndefined();
  });
});

test("gRPC in JSON", async () => {
  const answer = await call("grpc+json", echo.repeat, [plain(json({ text: "hi", count: 2 }))]);
  expect(answer.headers["content-type"]).toBe("application/grpc+json");
  expect(answer.frames.map(({ data }) => JSON.parse(data.toString()))).toEqual([
    { text: "hi" },
    { text: "hi" },
  ]);
});

describe("Connect calls streams", () => {
  test("of each kind", async () => {
    const two = [plain(message({ text: "a" })), plain(message({ text: "b", count: 2 }))];
    const repeated = await call("connect+proto", echo.repeat, two.slice(1));
    expect(repeated.frames.slice(0, -1).map(textOf)).toEqual(["b", "b"]);
    const collected = await call("connect+proto", echo.collect, two);
    expect(collected.frames.slice(0, -1).map(textOf)).toEqual(["a,b"]);
    const chatted = await call("connect+proto", echo.chat, two);
    expect(chatted.frames.slice(0, -1).map(textOf)).toEqual(["a", "b", "b"]);
    expect(chatted.headers["content-type"]).toBe("application/connect+proto");
    expect(connectEnd(chatted)).toEqual({});
  });

  test("in JSON", async () => {
    const frames = [plain(json({ text: "a" })), plain(json({ text: "é" }))];
    const answer = await call("connect+json", echo.chat, frames);
    expect(answer.frames.slice(0, -1).map(({ data }) => JSON.parse(data.toString()))).toEqual([
      { text: "a" },
      { text: "é" },
    ]);
    expect(answer.headers["content-type"]).toBe("application/connect+json");
  });

  test("that fail, with the error and its trailers at the end", async () => {
    const frames = [plain(message({ text: "a" })), plain(message({ text: "fail" }))];
    const answer = await call("connect+proto", echo.chat, frames);
    expect(answer.frames).toHaveLength(2);
    expect(connectEnd(answer)).toEqual({
      error: {
        code: "aborted",
        message: "100 % — no",
        details: [{ type: "micro.test.v1.EchoRequest", value: "CgFo" }],
      },
      metadata: {
        "x-trailer": ["t"],
        "micro-outcome": ["executed"],
        "grpc-retry-pushback-ms": ["20"],
      },
    });
  });

  test.each([
    ["JSON that is malformed", "connect+json", plain(Buffer.from("{")), "invalid_argument"],
    ["bytes that are not a message", "connect+proto", plain(Buffer.of(0xff)), "internal"],
    ["unknown flags", "connect+proto", { flags: 4, data: Buffer.alloc(0) }, "invalid_argument"],
    ["a coding that is not named", "connect+proto", zipped(message({})), "internal"],
  ])("but not with %s", async (_, type, frame, code) => {
    const end = connectEnd(await call(type, echo.repeat, [frame]));
    expect(end).toMatchObject({ error: { code }, metadata: { "micro-outcome": ["not-executed"] } });
    expect(seen).toBeUndefined();
  });

  test("until a deadline", async () => {
    const session = connect(`http://127.0.0.1:${server.port}`);
    const stream = session.request({
      ":method": "POST",
      ":path": `/${echo.chat.name}`,
      "content-type": "application/connect+proto",
      "connect-timeout-ms": "100",
    });
    const pieces: Buffer[] = [];
    for await (const piece of stream) pieces.push(piece as Buffer);
    session.destroy();
    expect(Buffer.concat(pieces).toString()).toContain('"code":"deadline_exceeded"');
    expect(seen?.signal.reason).toMatchObject({ code: "deadline_exceeded" });
  });
});

describe("messages of a stream that are compressed", () => {
  const forms = [
    ["grpc", { "grpc-encoding": "gzip" }],
    ["grpc-web", { "grpc-encoding": "GZIP" }],
    ["connect+proto", { "connect-content-encoding": "gzip" }],
  ] as const;

  test.each(forms)("are inflated in order: %s", async (type, lines) => {
    const frames = [
      plain(message({ text: "a" })),
      zipped(message({ text: "b" })),
      plain(message({ text: "c" })),
      zipped(message({ text: "d" })),
    ];
    const { frames: answers } = await call(type, echo.chat, frames, lines);
    expect(answers.slice(0, 4).map(textOf)).toEqual(["a", "compressed b", "c", "compressed d"]);
  });

  test.each(forms)("are inflated before the end is reported: %s", async (type, lines) => {
    const one = [zipped(message({ text: "hi", payload: new Uint8Array(100_000) }))];
    const repeated = await call(type, echo.repeat, one, lines);
    expect(textOf(repeated.frames[0]!)).toBe("compressed hi");
    const many = Array.from({ length: 500 }, (_, index) => zipped(message({ text: `${index}` })));
    const collected = await call(type, echo.collect, many, lines);
    expect(textOf(collected.frames[0]!).split(",")).toHaveLength(500);
  });

  test.each(forms)("are refused when they inflate too much: %s", async (type, lines) => {
    const bomb = zipped(message({ payload: new Uint8Array(3_000_000) }));
    const { frames } = await call(type, echo.repeat, [bomb], lines);
    if (type !== "grpc") expect(frames.at(-1)?.data.toString()).toContain("maxInflationRatio");
    expect(frames.filter(({ flags }) => flags === 0)).toEqual([]);
    expect(seen).toBeUndefined();
  });

  test("in JSON are refused when they have too many values", async () => {
    const bomb = zipped(Buffer.from(`{"unknown":[${"0,".repeat(100_000)}0]}`));
    const lines = { "connect-content-encoding": "gzip" };
    const end = connectEnd(await call("connect+json", echo.repeat, [bomb], lines));
    expect(end).toMatchObject({ error: { code: "resource_exhausted" } });
    expect(seen).toBeUndefined();
  });

  test("are responses, if the caller accepts that", async () => {
    const payload = new Uint8Array(5_000);
    const lines = { "connect-accept-encoding": "br;q=0, gzip" };
    const frames = [plain(message({ text: "hi", payload }))];
    const answer = await call("connect+proto", echo.chat, frames, lines);
    expect(answer.headers["connect-content-encoding"]).toBe("gzip");
    expect(answer.frames[0]?.flags).toBe(1);
    expect(textOf(answer.frames[0]!)).toBe("hi");
  });
});
