import {
  createServer as createHttp1Server,
  type IncomingMessage,
  type ServerResponse,
} from "node:http";
import {
  createServer as createHttp2Server,
  type OutgoingHttpHeaders,
  type ServerHttp2Stream,
} from "node:http2";
import { type Code, httpTransport } from "@micro-es/runtime";
import { afterEach, describe, expect, test } from "vitest";
import { all, failure, outgoing } from "../../../../../test/contract/transport-fixture.ts";
import { echo } from "../../../../../test/support/echo.ts";

/*
 * How broken and hostile servers end responses: every failure has a code that does not blame the
 * caller, and keeps the server's code if that can be read.
 */

const open: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

interface Reply {
  readonly status?: number;
  readonly header?: OutgoingHttpHeaders;
  readonly body?: Uint8Array | string;
  readonly trailers?: OutgoingHttpHeaders;
}

type Protocol = "grpc" | "grpc-web" | "connect";

const versions = ["2", "1.1"] as const;
type Version = (typeof versions)[number];

/** Starts a server that replies to every request alike. Returns its port. */
async function startServer(version: Version, reply: Reply): Promise<number> {
  const { status = 200, header = {}, body = "", trailers } = reply;
  const server = version === "2" ? createHttp2Server() : createHttp1Server();
  if (version === "2") {
    server.on("stream", (stream: ServerHttp2Stream) => {
      stream.on("error", () => undefined);
      stream.respond({ ":status": status, ...header }, { waitForTrailers: trailers !== undefined });
      if (trailers !== undefined) stream.on("wantTrailers", () => stream.sendTrailers(trailers));
      stream.end(body);
    });
  } else {
    server.on("request", (request: IncomingMessage, response: ServerResponse) => {
      request.resume();
      response.writeHead(status, header);
      response.write(body);
      if (trailers !== undefined) response.addTrailers(Object.entries(trailers) as never);
      response.end();
    });
  }
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  open.push(() => server.close());
  return (server.address() as { port: number }).port;
}

async function channelTo(protocol: Protocol, replied: Reply, httpVersion: Version = "2") {
  const port = await startServer(httpVersion, replied);
  const channel = await httpTransport({ protocol, httpVersion }).dial(`http://127.0.0.1:${port}`);
  open.push(() => channel.close());
  return channel;
}

async function expectFailure(
  kind: "unary" | "stream",
  protocol: Protocol,
  replied: Reply,
  code: Code,
  text: string,
): Promise<void> {
  for (const version of versions) {
    const channel = await channelTo(protocol, replied, version);
    const call =
      kind === "unary"
        ? channel.unary(echo.once, {}, outgoing())
        : all(channel.stream(echo.repeat, [{}], outgoing()));
    const error = await failure(call, code, code === "resource_exhausted" ? undefined : "unknown");
    expect(error.message).toContain(text);
  }
}

const frame = (flags: number, payload: string | Uint8Array) => {
  const bytes = Buffer.from(payload);
  const prefix = Buffer.alloc(5);
  prefix[0] = flags;
  prefix.writeUInt32BE(bytes.length, 1);
  return Buffer.concat([prefix, bytes]);
};
const message = frame(0, "");
const deep = (levels: number) => "[".repeat(levels) + "]".repeat(levels);
const grpc = { "content-type": "application/grpc+proto" };
const web = { "content-type": "application/grpc-web+proto" };
const streamed = { "content-type": "application/connect+proto" };
const json = { "content-type": "application/json" };

const statuses = [
  "1e3",
  "",
  "-1",
  "17",
  "0x5",
  "+5",
  "5.0",
  "00",
  "4294967301",
  ["5", "7"],
  ["0", "5"],
];

describe.each(statuses.map((status) => [status]))("grpc-status %j is unknown", (status) => {
  const line = { "grpc-status": status, "grpc-message": "m" };
  const text = `invalid grpc-status ${JSON.stringify([status].flat().join(", "))}`;
  const lines = [status].flat().map((it) => `grpc-status: ${it}\r\n`);
  const rows: [where: string, protocol: Protocol, reply: Reply][] = [
    ["in trailers", "grpc", { header: grpc, body: message, trailers: line }],
    ["in the header", "grpc", { header: { ...grpc, ...line } }],
    ["in the header of gRPC-Web", "grpc-web", { header: { ...web, ...line } }],
    [
      "in the body of gRPC-Web",
      "grpc-web",
      { header: web, body: Buffer.concat([message, frame(0x80, lines.join(""))]) },
    ],
  ];
  test.each(rows)("%s", async (_where, protocol, reply) => {
    await expectFailure("unary", protocol, reply, "unknown", text);
    await expectFailure("stream", protocol, reply, "unknown", text);
  });
});

test.each<[Protocol, Reply]>([
  [
    "grpc",
    { header: { ...grpc, "grpc-status": "5" }, body: message, trailers: { "grpc-status": "0" } },
  ],
  [
    "grpc-web",
    {
      header: { ...web, "grpc-status": "5" },
      body: Buffer.concat([message, frame(0x80, "grpc-status: 0\r\n")]),
    },
  ],
])("a status in the header says nothing where a body follows: %s", async (protocol, reply) => {
  const channel = await channelTo(protocol, reply);
  expect(await channel.unary(echo.once, {}, outgoing())).toMatchObject({ text: "" });
  expect(await all(channel.stream(echo.repeat, [{}], outgoing()))).toHaveLength(1);
});

const inWeb = (trailers: string | Uint8Array, after: Uint8Array = Buffer.alloc(0)): Reply => ({
  header: web,
  body: Buffer.concat([message, frame(0x80, trailers), after]),
});
const inEnd = (end: string, after: Uint8Array = Buffer.alloc(0)): Reply => ({
  header: streamed,
  body: Buffer.concat([message, frame(0x02, end), after]),
});

const ends: [what: string, protocol: Protocol, reply: Reply, code: Code, text: string][] = [
  [
    "trailers that contradict the header",
    "grpc",
    { header: { ...grpc, "grpc-status": "0" }, body: message, trailers: { "grpc-status": "5" } },
    "not_found",
    "",
  ],
  ["no trailers", "grpc", { header: grpc, body: message }, "internal", "missing status"],
  [
    "trailers without a status",
    "grpc",
    { header: grpc, body: message, trailers: { x: "y" } },
    "internal",
    "missing status",
  ],
  [
    "two messages of an error",
    "grpc",
    {
      header: grpc,
      body: message,
      trailers: { "grpc-status": "5", "grpc-message": ["a%zz", "b"] },
    },
    "not_found",
    "a%zz, b",
  ],
  [
    "a malformed message",
    "grpc-web",
    inWeb("grpc-status: 5\r\ngrpc-message: a%zz b%E4 ä\r\n"),
    "not_found",
    "a%zz b%E4 ä",
  ],
  [
    "malformed details",
    "grpc-web",
    inWeb("grpc-status: 13\r\ngrpc-message: x\r\ngrpc-status-details-bin: !!!\r\n"),
    "internal",
    "x",
  ],
  [
    "a malformed name",
    "grpc-web",
    inWeb("grpc-status: 5\r\nbad name!: x\r\n: y\r\n"),
    "not_found",
    "",
  ],
  ["a malformed value", "grpc-web", inWeb("x: \0\r\ngrpc-status: 5\r\n"), "not_found", ""],
  ["line feeds alone", "grpc-web", inWeb("grpc-status: 5\ngrpc-message: lf\n"), "not_found", "lf"],
  [
    "bytes as trailers",
    "grpc-web",
    inWeb(Buffer.from([0xff, 0xfe, 0x3a, 0x80])),
    "internal",
    "missing status",
  ],
  ["empty trailers", "grpc-web", inWeb(""), "internal", "missing status"],
  [
    "no trailers of gRPC-Web",
    "grpc-web",
    { header: web, body: message },
    "internal",
    "without a status",
  ],
  [
    "two trailers",
    "grpc-web",
    inWeb("grpc-status: 0\r\n", frame(0x80, "grpc-status: 5\r\n")),
    "internal",
    "goes on after its end",
  ],
  [
    "a message after trailers",
    "grpc-web",
    inWeb("grpc-status: 0\r\n", message),
    "internal",
    "goes on after its end",
  ],
  [
    "trailers that are cut",
    "grpc-web",
    { header: web, body: inWeb("grpc-status: 0\r\n").body!.slice(0, -3) },
    "internal",
    "within a message",
  ],
  [
    "trailers of 4 GiB",
    "grpc-web",
    { header: web, body: Buffer.concat([message, Buffer.of(0x80, 255, 255, 255, 255)]) },
    "resource_exhausted",
    "4294967295",
  ],
  [
    "trailers of 3 MiB",
    "grpc-web",
    inWeb(Buffer.alloc(3 << 20, "a: b\r\n")),
    "resource_exhausted",
    "3145728",
  ],
];
test.each(ends)("%s (%s)", async (_what, protocol, reply, code, text) => {
  await expectFailure("unary", protocol, reply, code, text);
  await expectFailure("stream", protocol, reply, code, text);
});

const connectEnds: [what: string, reply: Reply, code: Code, text: string][] = [
  ["not JSON", inEnd("{"), "internal", "not a JSON object"],
  ["empty", inEnd(""), "internal", "not a JSON object"],
  ["a list", inEnd("[]"), "internal", "not a JSON object"],
  ["null", inEnd("null"), "internal", "not a JSON object"],
  ["an error that is text", inEnd('{"error":"not_found"}'), "internal", "not a JSON object"],
  ["an error that is a list", inEnd('{"error":[]}'), "internal", "not a JSON object"],
  ["an error without a code", inEnd('{"error":{}}'), "unknown", ""],
  ["an unknown code", inEnd('{"error":{"code":"nope","message":"m"}}'), "unknown", "m"],
  ["a code that is a number", inEnd('{"error":{"code":5,"message":"m"}}'), "unknown", "m"],
  [
    "a message that is a number",
    inEnd('{"error":{"code":"not_found","message":5}}'),
    "not_found",
    "",
  ],
  [
    "malformed details",
    inEnd(
      '{"error":{"code":"not_found","message":"m","details":[1,null,{"type":1},{"type":"a","value":"!"}]}}',
    ),
    "not_found",
    "m",
  ],
  [
    "deep details",
    inEnd(`{"error":{"code":"not_found","message":"m","details":${deep(1_000)}}}`),
    "not_found",
    "m",
  ],
  [
    "malformed metadata together with an error",
    inEnd('{"error":{"code":"not_found"},"metadata":{"bad name!":["x"],"a":5,"b":["\\u0000"]}}'),
    "not_found",
    "",
  ],
  [
    "two ends",
    inEnd("{}", frame(2, '{"error":{"code":"not_found"}}')),
    "internal",
    "goes on after its end",
  ],
  ["no end", { header: streamed, body: message }, "internal", "without a status"],
  ["an end of 5 MiB", inEnd(`{"x":"${"a".repeat(5 << 20)}"}`), "resource_exhausted", ""],
];
test.each(connectEnds)("an end of a stream of Connect: %s", async (_what, reply, code, text) => {
  await expectFailure("stream", "connect", reply, code, text);
});

test.each([
  '{"metadata":{"a":5}}',
  '{"metadata":[1]}',
  '{"metadata":{"bad name!":["x"]}}',
  '{"x":[[[[]]]]}',
])("metadata that is malformed is no reason to fail a stream: %s", async (end) => {
  const channel = await channelTo("connect", inEnd(end));
  expect(await all(channel.stream(echo.repeat, [{}], outgoing()))).toHaveLength(1);
});

const errors: [body: string, code: Code, text: string][] = [
  ["{", "unimplemented", "404"],
  ["[]", "unimplemented", "404"],
  ["", "unimplemented", "404"],
  ['{"code":"nope","message":"m"}', "unimplemented", "m"],
  ['{"code":"not_found","message":5}', "not_found", ""],
  ['{"code":"not_found","message":"m","details":5}', "not_found", "m"],
  [
    '{"code":"not_found","message":"m","details":[1,{"type":1},{"type":"a","value":"!"}]}',
    "not_found",
    "m",
  ],
  [`{"code":"not_found","message":"m","details":${deep(1_000)}}`, "not_found", "m"],
];
test.each(errors.map((row, index) => [index, ...row] as const))(
  "an error of Connect keeps its code: %i",
  async (_index, body, code, text) => {
    const reply = { status: 404, header: { ...json, "content-length": body.length }, body };
    await expectFailure("unary", "connect", reply, code, text);
  },
);
