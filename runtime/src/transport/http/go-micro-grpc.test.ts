import { type ClientHttp2Session, connect } from "node:http2";
import { create, toBinary } from "@bufbuild/protobuf";
import { MicroError, tcpTransport } from "@micro-es/runtime";
import { afterEach, expect, test } from "vitest";
import { type Answers, answering } from "../../../../test/contract/transport-fixture.ts";
import { EchoRequestSchema } from "../../../../test/gen/micro/test/v1/echo_pb.ts";
import { goMicroErrorType } from "./go-micro-detail.ts";

/** Requests that clients of go-micro's gRPC plugin send, and grpc-go's do not. */

const open: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

async function session(
  answers: Answers,
  goMicro: object | false = {},
): Promise<ClientHttp2Session> {
  const transport = tcpTransport({ goMicro });
  const listener = await transport.listen("127.0.0.1:0", answering(answers));
  open.push(() => listener.close());
  const client = connect(`http://${listener.address}`);
  open.push(() => void client.destroy());
  return client;
}

interface Outcome {
  readonly status: string;
  readonly message: string;
  readonly details: string;
  readonly bytes: number;
}

/** Sends one message, and ends the stream only if requested. */
function call(
  client: ClientHttp2Session,
  path: string,
  { marked = true, end = true, text = "a" } = {},
): Promise<Outcome> {
  const stream = client.request({
    ":method": "POST",
    ":path": path,
    "content-type": "application/grpc+proto",
    te: "trailers",
    ...(marked && { "x-content-type": "application/grpc+proto" }),
  });
  const message = toBinary(EchoRequestSchema, create(EchoRequestSchema, { text, count: 2 }));
  stream.write(Buffer.from([0, 0, 0, 0, message.length, ...message]));
  if (end) stream.end();
  return new Promise((resolve, reject) => {
    let bytes = 0;
    let said: Record<string, unknown> = {};
    stream.on("response", (header) => Object.assign(said, header));
    stream.on("trailers", (trailers) => {
      said = { ...said, ...trailers };
    });
    stream.on("data", (chunk) => {
      bytes += chunk.length;
    });
    stream.once("error", reject);
    stream.once("end", () => {
      stream.close();
      resolve({
        status: String(said["grpc-status"]),
        message: decodeURIComponent(String(said["grpc-message"] ?? "")),
        details: Buffer.from(String(said["grpc-status-details-bin"] ?? ""), "base64").toString(
          "latin1",
        ),
        bytes,
      });
    });
  });
}

const answers: Answers = {
  unary: ({ text }) => {
    if (text !== "fail") return { text };
    const details = [{ typeName: "google.rpc.BadRequest", value: new Uint8Array(0) }];
    throw new MicroError("not_found", "no such", { outcome: "executed", details });
  },
  async *stream(requests) {
    const first = await requests[Symbol.asyncIterator]().next();
    for (let index = 0; index < 2; index++) yield { text: first.value?.text ?? "" };
  },
};

test("a method is found by the name that the service is registered by in the place of its package", async () => {
  const client = await session(answers);
  expect(await call(client, "/echo.EchoService/Echo")).toMatchObject({ status: "0", bytes: 8 });
  expect(await call(client, "/echo.EchoService/Nope")).toMatchObject({ status: "12" });
});

test.each([
  "/any.EchoService/Echo",
  "/my-fleet.echo.EchoService/Echo",
  "/EchoService/Echo",
  "/.EchoService/Echo",
  "/Echo.EchoService/Echo",
])("a path rule is not passed by another package: %s", async (path) => {
  const client = await session(answers);
  expect(await call(client, path)).toMatchObject({ status: "12" });
});

test("only clients of go-micro have such names", async () => {
  const client = await session(answers);
  const path = "/echo.EchoService/Echo";
  expect(await call(client, path, { marked: false })).toMatchObject({ status: "12" });
});

test("a stream of responses begins before its requests end", async () => {
  const client = await session(answers);
  const outcome = await call(client, "/echo.EchoService/Repeat", { end: false });
  expect(outcome).toMatchObject({ status: "0", bytes: 16 });
});

test("an error has go-micro's JSON and its detail, and no other, on which its clients would end", async () => {
  const client = await session(answers);
  const outcome = await call(client, "/echo.EchoService/Echo", { text: "fail" });
  expect(outcome.status).toBe("5");
  expect(JSON.parse(outcome.message)).toEqual({
    id: "echo",
    code: 404,
    detail: "no such",
    status: "Not Found",
  });
  expect(outcome.details).toContain(goMicroErrorType);
  expect(outcome.details).not.toContain("BadRequest");
});

test("other clients of gRPC have their errors as they are", async () => {
  const client = await session(answers);
  const path = "/micro.test.v1.EchoService/Echo";
  const outcome = await call(client, path, { marked: false, text: "fail" });
  expect(outcome).toMatchObject({ status: "5", message: "no such" });
  expect(outcome.details).toContain("BadRequest");
});

test("nothing of it is there where go-micro is turned off", async () => {
  const client = await session(answers, false);
  expect(await call(client, "/echo.EchoService/Echo")).toMatchObject({ status: "12" });
});
