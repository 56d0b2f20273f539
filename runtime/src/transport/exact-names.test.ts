import { connect as connectHttp2 } from "node:http2";
import { connect } from "node:net";
import { tcpTransport } from "@micro-es/runtime";
import type { Listener } from "@micro-es/runtime/driver";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { answering } from "../../../test/contract/transport-fixture.ts";
import { registerEcho } from "../../../test/support/server.ts";
import { frame, greeting, methodFrame, RawPeer } from "../../../test/support/wire.ts";
import { buildServer } from "../server/rpc-server.ts";
import { frameType } from "./native/protocol.ts";

/*
 * A proxy authorizes requests by path, and another spelling must not bypass a rule that forbids
 * one: a method is reachable by its exact full name only.
 */

let calls = 0;
let listener: Listener;
beforeEach(async () => {
  calls = 0;
  const dispatcher = answering({ unary: () => ({ text: String(++calls) }) });
  listener = await tcpTransport().listen("127.0.0.1:0", dispatcher);
});
afterEach(() => listener.close());

const path = "/micro.test.v1.EchoService/Echo";
const others = [
  "//micro.test.v1.EchoService/Echo",
  "/micro.test.v1.EchoService//Echo",
  "/micro.test.v1.EchoService/Echo/",
  "/micro.test.v1.EchoService/echo",
  "/Micro.Test.v1.EchoService/Echo",
  "/micro.test.v1.EchoService/%45cho",
  "/micro.test.v1%2eEchoService/Echo",
  "/micro.test.v1.EchoService%2fEcho",
  "/x/../micro.test.v1.EchoService/Echo",
  "/./micro.test.v1.EchoService/Echo",
  "/micro.test.v1.EchoService/Echo;v=1",
  "/micro.test.v1.EchoService/Echo#x",
  "/prefix/micro.test.v1.EchoService/Echo",
  "/any.EchoService/Echo",
  "/v1.EchoService/Echo",
  "/EchoService/Echo",
  "/micro.test.v1.EchoService.Echo",
  "/micro.test.v1.EchoService/Echo%00",
  "/micro.test.v1.EchoService/Echo%20",
  "http://127.0.0.1/micro.test.v1.EchoService/Echo",
];

async function overHttp1(target: string, lines: readonly string[] = []): Promise<string> {
  const socket = connect(Number(listener.address.split(":")[1]), "127.0.0.1");
  const head = [`POST ${target} HTTP/1.1`, "Host: localhost", "Connection: close", ...lines];
  socket.write(`${head.join("\r\n")}\r\nContent-Length: 2\r\n\r\n{}`);
  let received = "";
  for await (const bytes of socket) received += bytes;
  return received;
}

async function overHttp2(target: string, contentType: string): Promise<Record<string, unknown>> {
  const session = connectHttp2(`http://${listener.address}`);
  session.on("error", () => undefined);
  const stream = session.request({
    ":method": "POST",
    ":path": target,
    "content-type": contentType,
    te: "trailers",
  });
  stream.end(contentType.endsWith("json") ? "{}" : Buffer.alloc(5));
  try {
    return await new Promise((resolve, reject) => {
      let said: Record<string, unknown> = {};
      stream.on("response", (header) => {
        said = { ...header };
      });
      stream.on("trailers", (trailers) => Object.assign(said, trailers));
      stream.on("error", reject);
      stream.on("close", () => resolve(said));
      stream.resume();
    });
  } finally {
    session.destroy();
  }
}

const types = ["application/json", "application/grpc", "application/grpc-web+proto"];

test.each(types)("the exact path reaches the method: %s", async (type) => {
  await overHttp2(path, type);
  expect(calls).toBe(1);
  await overHttp1(path, ["Content-Type: application/json"]);
  await overHttp1(`${path}?x=1`, ["Content-Type: application/json"]);
  expect(calls).toBe(3);
});

describe.each(others)("another spelling reaches no method: %s", (target) => {
  test.each(types)("as %s", async (type) => {
    await overHttp1(target, [`Content-Type: ${type}`]);
    await overHttp1(target, [`Content-Type: ${type}`, `X-Content-Type: ${type}`]);
    await overHttp2(target, type).catch(() => undefined);
    expect(calls).toBe(0);
  });
});

test.each(["Host: localhost", "Content-Type: application/json", "Origin: http://localhost"])(
  "a request with two lines %s is refused",
  async (line) => {
    const lines = ["Content-Type: application/json", "Origin: http://localhost"];
    const response = await overHttp1(path, [...lines, line]);
    expect(response).toMatch(/^HTTP\/1\.1 400/);
    expect(calls).toBe(0);
  },
);

test.each(["Micro-Endpoint: EchoService.Watch", "Content-Type: application/json", "Host: other"])(
  "a go-micro request with a second line %s is refused",
  async (line) => {
    const lines = ["Content-Type: application/json", "Micro-Endpoint: EchoService.Echo", line];
    await overHttp1("/", lines);
    expect(calls).toBe(0);
    await overHttp1("/", lines.slice(0, 2));
    expect(calls).toBe(1);
  },
);

test("go-micro's protocol is served only at its own path", async () => {
  const lines = ["Content-Type: application/json", "Micro-Endpoint: EchoService.Echo"];
  for (const target of ["//", "/?x", "/x", "/.", "/%2e", "http://localhost/x", path.slice(0, -1)]) {
    await overHttp1(target, lines);
  }
  expect(calls).toBe(0);
  // The absolute form of the same target (RFC 9112, section 3.2.2).
  await overHttp1("http://localhost/", lines);
  expect(calls).toBe(1);
});

test("go-micro's gRPC path requires a name under which the server is registered", async () => {
  const server = buildServer({
    name: "fleet",
    listen: [{ transport: tcpTransport(), address: "127.0.0.1:0" }],
  });
  await using _ = server;
  registerEcho(server);
  await server.start();
  const session = connectHttp2(`http://${server.addresses[0]}`);
  const statusOf = (path: string) =>
    new Promise((resolve, reject) => {
      const type = "application/grpc+proto";
      const stream = session.request({
        ...{ ":method": "POST", ":path": path, te: "trailers" },
        ...{ "content-type": type, "x-content-type": type },
      });
      stream.on("response", (header) => "grpc-status" in header && resolve(header["grpc-status"]));
      stream.on("trailers", (trailers) => resolve(trailers["grpc-status"]));
      stream.on("error", reject);
      stream.resume();
      stream.end(Buffer.alloc(5));
    });
  for (const own of ["fleet", "echo", "micro.test.v1"]) {
    expect(await statusOf(`/${own}.EchoService/Echo`)).toBe("0");
  }
  for (const other of ["any", "Fleet", "my.fleet", "fleet.echo", "micro.test", "test.v1"]) {
    expect(await statusOf(`/${other}.EchoService/Echo`)).toBe("12");
  }
  session.destroy();
});

test("native names are compared exactly", async () => {
  const names = ["/micro.test.v1.EchoService/Echo", "micro.test.v1.EchoService/echo"];
  for (const name of [...names, "EchoService/Echo", "micro.test.v1.EchoService/Echo/"]) {
    const peer = await RawPeer.connect(listener.address);
    const call = { type: frameType.call, flags: 0x05, method: 1, call: 1 };
    peer.send(greeting(), methodFrame(1, name), frame(call));
    await expect.poll(() => peer.ofType(frameType.result).length).toBe(1);
    peer.close();
  }
  expect(calls).toBe(0);
});
