import type { ServerHttp2Stream } from "node:http2";
import { gzipSync } from "node:zlib";
import { create, toBinary } from "@bufbuild/protobuf";
import { Metadata } from "@micro-es/runtime";
import { expect, test } from "vitest";
import { all, failure, outgoing } from "../../../../../test/contract/transport-fixture.ts";
import { EchoResponseSchema } from "../../../../../test/gen/micro/test/v1/echo_pb.ts";
import { echo } from "../../../../../test/support/echo.ts";
import {
  closeAfterEach,
  dialled,
  enveloped,
  serveByNode,
} from "../../../../../test/support/node-http2-server.ts";

closeAfterEach();

const trailerFlag = 0x80;
const response = (text: string) =>
  toBinary(EchoResponseSchema, create(EchoResponseSchema, { text }));
const success = "grpc-status: 0\r\n";

function respond(stream: ServerHttp2Stream, body: Uint8Array, extra = {}): void {
  stream.respond({ ":status": 200, "content-type": "application/grpc-web+proto", ...extra });
  stream.end(body);
}

/** Responds to all calls with this body. */
async function dialledTo(body: Uint8Array, extra = {}) {
  const server = await serveByNode((stream) => respond(stream, body, extra));
  return dialled(server, { protocol: "grpc-web" });
}

test("the header of a call says that it is gRPC-Web", async () => {
  const headers: Record<string, unknown>[] = [];
  const server = await serveByNode((stream, header) => {
    headers.push(header);
    respond(stream, Buffer.concat([enveloped(response("")), enveloped(success, trailerFlag)]));
  });
  const channel = await dialled(server, { protocol: "grpc-web" });
  const metadata = new Metadata([["x-key", "one"]]);
  await channel.unary(echo.once, {}, outgoing({ metadata, timeoutMs: 5_000 }));
  expect(headers[0]).toMatchObject({
    ":method": "POST",
    ":path": "/micro.test.v1.EchoService/Once",
    "content-type": "application/grpc-web+proto",
    "x-grpc-web": "1",
    "grpc-accept-encoding": "gzip,br",
    "grpc-timeout": expect.stringMatching(/^\d+m$/),
    "user-agent": "micro-es",
    "x-user-agent": "micro-es",
    "x-key": "one",
  });
});

test.each([1, 7, 10_000])("trailers arrive in pieces of %d bytes", async (size) => {
  const lines = "grpc-status: 5\r\ngrpc-message: gone\r\nx-many: a\r\nX-Many: b\r\n";
  const body = Buffer.concat([enveloped(response("a")), enveloped(lines, trailerFlag)]);
  const server = await serveByNode((stream) => {
    stream.respond({ ":status": 200, "content-type": "application/grpc-web+proto" });
    for (let at = 0; at < body.length; at += size) stream.write(body.subarray(at, at + size));
    stream.end();
  });
  const channel = await dialled(server, { protocol: "grpc-web" });
  const call = outgoing();
  const error = await failure(channel.unary(echo.once, {}, call), "not_found", "unknown");
  expect(error.message).toBe("gone");
  expect(call.trailers?.getAll("x-many")).toEqual(["a", "b"]);
  const reader = channel.stream(echo.repeat, [{}], outgoing())[Symbol.asyncIterator]();
  expect((await reader.next()).value).toMatchObject({ text: "a" });
  await failure(reader.next(), "not_found", "unknown");
});

test("compressed trailers follow compressed messages", async () => {
  const texts = ["a", "b".repeat(10_000), "c"];
  const body = Buffer.concat([
    ...texts.map((text) => enveloped(gzipSync(response(text)), 1)),
    enveloped(gzipSync(`${success}x-end: here\r\n`), trailerFlag | 1),
  ]);
  const channel = await dialledTo(body, { "grpc-encoding": "gzip" });
  const call = outgoing();
  const responses = await all(channel.stream(echo.repeat, [{}], call));
  expect(responses.map(({ text }) => text)).toEqual(texts);
  expect(call.trailers?.get("x-end")).toBe("here");
});

test.each([
  ["inflate to more than a limit", gzipSync(Buffer.alloc(300_000, "x")), trailerFlag | 1],
  ["have more than 4096 lines", Buffer.from("a:b\n".repeat(5_000)), trailerFlag],
])("trailers that %s are resource_exhausted", async (_, trailers, flags) => {
  const body = Buffer.concat([enveloped(response("a")), enveloped(trailers, flags)]);
  const channel = await dialledTo(body, { "grpc-encoding": "gzip" });
  await failure(channel.unary(echo.once, {}, outgoing()), "resource_exhausted", "executed");
  const reader = channel.stream(echo.repeat, [{}], outgoing())[Symbol.asyncIterator]();
  await reader.next();
  await failure(reader.next(), "resource_exhausted", "executed");
});

test("another content type is unknown, and an HTTP status has its code", async () => {
  const text = await dialledTo(Buffer.from("hello"), { "content-type": "text/plain" });
  await failure(text.unary(echo.once, {}, outgoing()), "unknown", "unknown");
  const busy = await dialledTo(Buffer.from("busy"), { ":status": 503 });
  await failure(busy.unary(echo.once, {}, outgoing()), "unavailable", "unknown");
  await failure(all(busy.stream(echo.repeat, [{}], outgoing())), "unavailable", "unknown");
});

test("a status of success in the header, without a message, is unimplemented", async () => {
  const channel = await dialledTo(Buffer.alloc(0), { "grpc-status": "0" });
  await failure(channel.unary(echo.once, {}, outgoing()), "unimplemented", "unknown");
  expect(await all(channel.stream(echo.repeat, [{}], outgoing()))).toEqual([]);
});
