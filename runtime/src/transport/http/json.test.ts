import { once } from "node:events";
import { createServer } from "node:http";
import { connect as connectHttp2 } from "node:http2";
import type { AddressInfo } from "node:net";
import { buffer } from "node:stream/consumers";
import { brotliCompressSync, gzipSync } from "node:zlib";
import { Int64ValueSchema } from "@bufbuild/protobuf/wkt";
import { httpTransport, tcpTransport } from "@micro-es/runtime";
import { protobufCodec } from "@micro-es/runtime/codec";
import { afterEach, expect, test } from "vitest";
import { answering, outgoing } from "../../../../test/contract/transport-fixture.ts";
import { echo } from "../../../../test/support/echo.ts";
import type { Channel } from "../transport.ts";

const open: { close(): unknown }[] = [];
afterEach(async () => {
  for (const it of open.splice(0).reverse()) await it.close();
});

async function serve(options = {}, origins?: string[]): Promise<string> {
  const listener = await tcpTransport(options).listen(
    "127.0.0.1:0",
    answering({
      unary: ({ text }) => ({ text }),
      async *stream(requests) {
        for await (const { text } of requests) yield { text };
      },
    }),
    origins === undefined ? {} : { onRefusedOrigin: (origin) => origins.push(origin) },
  );
  open.push(listener);
  return `http://${listener.address}`;
}

const repeated = '{"text":"a","text":"b"}';
const json = { "content-type": "application/json" };

test.each([
  ["plain", repeated, {}],
  ["gzip", gzipSync(repeated), { "content-encoding": "gzip" }],
])("JSON that would be changed is refused by POST: %s", async (_, body, header) => {
  const url = `${await serve()}/${echo.echo.name}`;
  const response = await fetch(url, { method: "POST", headers: { ...json, ...header }, body });
  expect(response.status).toBe(400);
  expect(response.headers.get("micro-outcome")).toBe("not-executed");
  expect(await response.json()).toMatchObject({
    code: "invalid_argument",
    message: expect.stringContaining('"text" is repeated'),
  });
});

test.each([
  ["GZIP", gzipSync('{"text":"a"}')],
  ["Br", brotliCompressSync('{"text":"a"}')],
  ["Identity", '{"text":"a"}'],
])("the case of a content coding does not matter in a request: %s", async (coding, body) => {
  const header = { ...json, "content-encoding": coding };
  const url = `${await serve()}/${echo.echo.name}`;
  const response = await fetch(url, { method: "POST", headers: header, body });
  expect(await response.json()).toEqual({ text: "a" });
});

test("the case of a content coding does not matter in what a client accepts", async () => {
  const url = `${await serve()}/${echo.echo.name}`;
  const header = { ...json, "accept-encoding": "GZIP" };
  const body = JSON.stringify({ text: "a".repeat(10_000) });
  const response = await fetch(url, { method: "POST", headers: header, body });
  expect(response.headers.get("content-encoding")).toBe("gzip");
});

test.each(["GZIP", "Identity"])(
  "the case of a content coding does not matter in a response: %s",
  async (coding) => {
    const body = coding === "GZIP" ? gzipSync('{"text":"a"}') : '{"text":"a"}';
    const channel = await respondingWith(body, "application/json", { "content-encoding": coding });
    expect(await channel.unary(echo.echo, {}, outgoing())).toMatchObject({ text: "a" });
  },
);

test.each([
  ["gzip", "compression"],
  ["br", "compression"],
  ["zstd", "compression"],
  ["gzip", "%63ompression"],
])(
  "a message that is compressed by %s is refused by GET, the parameter being %s",
  async (name, parameter) => {
    const message = gzipSync('{"text":"a"}').toString("base64url");
    const query = `?connect=v1&encoding=json&base64=1&${parameter}=${name}&message=${message}`;
    const refused = await fetch(`${await serve()}/${echo.echo.name}${query}`);
    expect(refused.status).toBe(400);
    expect(refused.headers.get("micro-outcome")).toBe("not-executed");
    expect(await refused.json()).toMatchObject({
      code: "invalid_argument",
      message: expect.stringContaining("GET requests may not be compressed"),
    });
  },
);

test("a message that is not the base64 it claims to be is refused by GET", async () => {
  const query = "?connect=v1&encoding=json&base64=1&message=@@";
  const refused = await fetch(`${await serve()}/${echo.echo.name}${query}`);
  expect(refused.status).toBe(400);
  expect(refused.headers.get("micro-outcome")).toBe("not-executed");
  expect(await refused.json()).toMatchObject({
    code: "invalid_argument",
    message: expect.stringContaining("not base64"),
  });
});

test.each(["encoding=json", "%65ncoding=json", "encoding=jso%6e"])(
  "a GET has its message read as JSON by %s",
  async (encoding) => {
    const url = `${await serve()}/${echo.echo.name}?connect=v1&${encoding}&message=`;
    expect(await (await fetch(url + encodeURIComponent('{"text":"a"}'))).json()).toEqual({
      text: "a",
    });
    expect((await fetch(url + encodeURIComponent(repeated))).status).toBe(400);
  },
);

test.each([
  ["plain", (text: string) => encodeURIComponent(text)],
  ["base64", (text: string) => `${Buffer.from(text).toString("base64url")}&base64=1`],
])("JSON that would be changed is refused by GET: %s", async (_, encode) => {
  const url = `${await serve()}/${echo.echo.name}?connect=v1&encoding=json&message=`;
  const refused = await fetch(url + encode(repeated));
  expect(refused.status).toBe(400);
  expect(refused.headers.get("micro-outcome")).toBe("not-executed");
  expect(await (await fetch(url + encode('{"text":"a+b&c"}'))).json()).toEqual({ text: "a+b&c" });
});

/**
 * Starts a Connect server over HTTP/1.1 that responds with this body to everything, and opens a
 * channel to it.
 */
async function respondingWith(
  body: Uint8Array | string,
  type: string,
  header: Record<string, string> = {},
): Promise<Channel> {
  const server = createServer((request, response) => {
    request.resume();
    response.writeHead(200, { "content-type": type, ...header }).end(body);
  }).listen(0, "127.0.0.1");
  open.push(server);
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const transport = httpTransport({ protocol: "connect", httpVersion: "1.1", encoding: "json" });
  const channel = await transport.dial(`http://127.0.0.1:${port}`);
  open.push(channel);
  return channel;
}

test.each([
  ["a repeated member", repeated, '"text" is repeated'],
  ["bytes that are not UTF-8", Buffer.from('{"text":"\xff"}', "latin1"), "cannot decode JSON"],
  ["text that is not JSON", "{", "JSON"],
])("a response in JSON that would be changed fails the call: %s", async (_, body, why) => {
  const channel = await respondingWith(body, "application/json");
  await expect(channel.unary(echo.echo, { text: "x" }, outgoing())).rejects.toMatchObject({
    code: "internal",
    outcome: "executed",
    message: expect.stringContaining(why),
  });
});

test("a response in JSON keeps a 64-bit number exactly", async () => {
  const channel = await respondingWith("9007199254740993", "application/json");
  const codec = protobufCodec(Int64ValueSchema);
  const method = { ...echo.echo, input: codec, output: codec };
  expect(await channel.unary(method, { value: 1n }, outgoing())).toMatchObject({
    value: 9007199254740993n,
  });
});

test("responses of a stream in JSON are read exactly", async () => {
  const messages = ['{"text":"a"}', repeated].map((text) => envelope(text));
  const channel = await respondingWith(Buffer.concat(messages), "application/connect+json");
  const responses = channel.stream(echo.repeat, [{}], outgoing())[Symbol.asyncIterator]();
  expect((await responses.next()).value).toMatchObject({ text: "a" });
  await expect(responses.next()).rejects.toMatchObject({
    code: "internal",
    message: expect.stringContaining('"text" is repeated'),
  });
});

function envelope(text: string): Buffer {
  const data = Buffer.from(text);
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(data.length, 1);
  return Buffer.concat([prefix, data]);
}

test("JSON of streams is read message by message, however it is cut", async () => {
  const session = connectHttp2(await serve());
  open.push({ close: () => session.destroy() });
  const stream = session.request({
    ":method": "POST",
    ":path": `/${echo.chat.name}`,
    "content-type": "application/connect+json",
  });
  const messages = ['{"text":"a"}', '{"text":"é"}', "{}", repeated].map((text) => envelope(text));
  for (const byte of Buffer.concat(messages)) stream.write(Buffer.of(byte));
  stream.end();
  const response = (await buffer(stream)).toString();
  expect(response).toContain('{"text":"a"}');
  expect(response).toContain('{"text":"é"}');
  expect(response).toContain('"code":"invalid_argument"');
});

test("members that the schema does not have are skipped", async () => {
  const body = '{"text":"hi","unknown":{"a":[1,9007199254740993]}}';
  const url = `${await serve()}/${echo.echo.name}`;
  const response = await fetch(url, { method: "POST", headers: json, body });
  expect(await response.json()).toEqual({ text: "hi" });
});

test("a content type that is not taken is answered with those that are", async () => {
  const url = `${await serve()}/${echo.echo.name}`;
  const response = await fetch(url, { method: "POST", body: "{}" });
  expect(response.status).toBe(415);
  const text = await response.text();
  expect(text).toContain("text/plain");
  expect(text).toContain("application/json");
  expect(text).toContain("curl --json");
});

test("an origin that may not call is reported once", async () => {
  const refused: string[] = [];
  const cors = { origins: ["https://a.example"] };
  const url = `${await serve({ http: { cors } }, refused)}/${echo.echo.name}`;
  for (const origin of ["https://a.example", "https://b.example", "https://b.example"]) {
    const headers = { origin, "access-control-request-method": "POST" };
    await fetch(url, { method: "OPTIONS", headers });
  }
  expect(refused).toEqual(["https://b.example"]);
});
