import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { connect, type IncomingHttpHeaders, type IncomingHttpStatusHeader } from "node:http2";
import { buffer } from "node:stream/consumers";
import { gunzipSync, gzipSync } from "node:zlib";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import type { CallContext } from "@micro-es/runtime";
import type { Dispatcher } from "@micro-es/runtime/driver";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import {
  type EchoRequest,
  EchoRequestSchema,
  EchoResponseSchema,
} from "../../../../../test/gen/micro/test/v1/echo_pb.ts";
import { echo } from "../../../../../test/support/echo.ts";
import { RpcTestServer } from "../../../../../test/support/rpc-server.ts";
import { requestCompressed } from "../compression/keys.ts";

let seen: CallContext | undefined;

const dispatcher: Dispatcher = {
  method: (name) => Object.values(echo).find((method) => method.name === name),
  unary(call, request) {
    seen = call;
    return { text: (request as EchoRequest).text, server: String(call.get(requestCompressed)) };
  },
  stream: () => {
    throw new Error("only unary methods are called");
  },
};

let server: RpcTestServer;

beforeEach(async () => {
  seen = undefined;
  server = await RpcTestServer.start(dispatcher, { maxMessageBytes: 1_000_000 });
});
afterEach(async () => {
  await expect.poll(() => server.open).toBe(0);
  server.close();
  expect(server.incomplete).toBe(0);
});

interface Answer {
  readonly headers: IncomingHttpHeaders & IncomingHttpStatusHeader;
  readonly body: Buffer;
}

async function send(lines: Record<string, string>, body?: Uint8Array): Promise<Answer> {
  const session = connect(`http://127.0.0.1:${server.port}`);
  try {
    const stream = session.request(lines, { endStream: body === undefined });
    if (body !== undefined) stream.end(body);
    const [headers] = (await once(stream, "response")) as [Answer["headers"]];
    return { headers, body: await buffer(stream) };
  } finally {
    session.destroy();
  }
}

function get(query: string, lines = {}, { name }: { readonly name: string } = echo.echo) {
  return send({ ":method": "GET", ":path": `/${name}?${query}`, ...lines });
}

function post(type: string, body: Uint8Array, lines: Record<string, string>): Promise<Answer> {
  const path = `/${echo.echo.name}`;
  return send({ ":method": "POST", ":path": path, "content-type": type, ...lines }, body);
}

const text = '{"text":"a+b&c"}';
const binary = toBinary(EchoRequestSchema, create(EchoRequestSchema, { text: "hi" }));

describe("a GET calls a method without side effects", () => {
  test.each([
    ["as text", `encoding=json&message=${encodeURIComponent(text)}`],
    ["as base64", `encoding=json&base64=1&message=${Buffer.from(text).toString("base64url")}`],
    ["with an encoded parameter", `%65ncoding=jso%6e&message=${encodeURIComponent(text)}`],
  ])("with a message in JSON, %s", async (_, query) => {
    const { headers, body } = await get(`connect=v1&${query}`, { "x-key": "value" });
    expect(headers).toMatchObject({ ":status": 200, "content-type": "application/json" });
    expect(JSON.parse(body.toString())).toEqual({ text: "a+b&c", server: "false" });
    expect(seen?.requestMetadata.get("x-key")).toBe("value");
  });

  test("with a message in protobuf's binary format", async () => {
    const message = Buffer.from(binary).toString("base64url");
    const query = `connect=v1&encoding=proto&base64=1&message=${message}`;
    const { headers, body } = await get(query);
    expect(headers["content-type"]).toBe("application/proto");
    expect(fromBinary(EchoResponseSchema, body).text).toBe("hi");
  });

  test("and gets an error as the response to a message that cannot be read", async () => {
    const { headers, body } = await get("connect=v1&encoding=json&message=%7B");
    expect(headers).toMatchObject({ ":status": 400, "micro-outcome": "not-executed" });
    expect(JSON.parse(body.toString())).toMatchObject({ code: "invalid_argument" });
    expect(seen).toBeUndefined();
  });
});

test.each([
  ["a method with side effects", echo.once, "encoding=json&message=%7B%7D"],
  ["a stream", echo.repeat, "encoding=json&message=%7B%7D"],
  ["an unknown encoding", echo.echo, "encoding=xml&message=%7B%7D"],
])("a GET does not call %s", async (_, method, query) => {
  await expect(get(`connect=v1&${query}`, {}, method)).rejects.toThrow("REFUSED_STREAM");
  expect(seen).toBeUndefined();
});

test.each([
  ["is compressed", "encoding=json&base64=1&compression=gzip&message=AA", "compressed"],
  ["is not base64", "encoding=json&base64=1&message=@@", "base64"],
])("a GET is refused if its message %s", async (_, query, why) => {
  const { headers, body } = await get(`connect=v1&${query}`);
  expect(headers).toMatchObject({ ":status": 400, "micro-outcome": "not-executed" });
  expect(JSON.parse(body.toString())).toMatchObject({ code: "invalid_argument" });
  expect(body.toString()).toContain(why);
  expect(seen).toBeUndefined();
});

describe("a unary call whose request is compressed", () => {
  test.each(["gzip", "GZIP"])("by %s gets a response", async (coding) => {
    const large = JSON.stringify({ text: "a".repeat(5_000) });
    const lines = { "content-encoding": coding };
    const { headers, body } = await post("application/json", gzipSync(large), lines);
    expect(headers["content-encoding"]).toBe("gzip");
    expect(JSON.parse(gunzipSync(body).toString())).toMatchObject({ server: "true" });
    const plain = await post("application/proto", gzipSync(binary), lines);
    expect(fromBinary(EchoResponseSchema, plain.body)).toMatchObject({ text: "hi" });
  });

  test.each([
    ["becomes too large", Buffer.from(randomBytes(700_000).toString("hex")), "maxMessageBytes"],
    ["inflates too much", Buffer.alloc(900_000), "maxInflationRatio"],
    ["has too many values", Buffer.from(`[${"0,".repeat(20_000)}0]`), "elements"],
  ])("is refused if it %s", async (_, message, why) => {
    const lines = { "content-encoding": "gzip" };
    const { headers, body } = await post("application/json", gzipSync(message), lines);
    expect(headers).toMatchObject({ ":status": 429, "micro-outcome": "not-executed" });
    expect(JSON.parse(body.toString())).toMatchObject({ code: "resource_exhausted" });
    expect(body.toString()).toContain(why);
    expect(seen).toBeUndefined();
  });

  test("is refused if it does not inflate", async () => {
    const lines = { "content-encoding": "gzip" };
    const { headers, body } = await post("application/json", Buffer.from("no gzip"), lines);
    expect(headers[":status"]).toBe(400);
    expect(JSON.parse(body.toString())).toMatchObject({ code: "invalid_argument" });
  });
});
