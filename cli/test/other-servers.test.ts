import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create, type DescFile, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { Server, ServerCredentials, status } from "@grpc/grpc-js";
import {
  FileDescriptorResponseSchema,
  ListServiceResponseSchema,
  ServerReflection,
  type ServerReflectionRequest,
  type ServerReflectionResponse,
  ServerReflectionResponseSchema,
  ServiceResponseSchema,
} from "@micro-es/runtime/gen/grpc/reflection/v1/reflection_pb.js";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import {
  type EchoRequest,
  EchoResponseSchema,
  EchoService,
} from "../../test/gen/micro/test/v1/echo_pb.ts";
import { serviceDefinition } from "../../test/interop/grpc-js/service.ts";
import { ownFleet } from "../../test/support/process.ts";
import { micro } from "./support/micro.ts";

// Servers without Micro-ES and without reflection.

const scratch = mkdtempSync(join(tmpdir(), "micro-other-servers-"));
const repository = join(import.meta.dirname, "../..");
const env: Record<string, string> = { ...ownFleet(), HOME: scratch, XDG_CONFIG_HOME: scratch };
const image = join(scratch, "echo.binpb");
const answer = (init: MessageInitShape<typeof EchoResponseSchema>) =>
  create(EchoResponseSchema, init);

const grpc = new Server();
const connect = createServer(
  connectNodeAdapter({
    routes: (router) =>
      router.service(EchoService, {
        echo(request, context) {
          if (request.fail !== "") throw new ConnectError("not for you", Code.PermissionDenied);
          return answer({ text: request.text, server: context.requestHeader.get("x-tag") ?? "" });
        },
        async *repeat({ text, count }) {
          for (let index = 0; index < count; index++) yield answer({ text, index });
        },
        async collect(requests) {
          const texts: string[] = [];
          for await (const { text } of requests) texts.push(text);
          return answer({ text: texts.join(" ") });
        },
      }),
  }),
);
const addresses = { grpc: "", connect: "" };

beforeAll(async () => {
  execFileSync(join(repository, "node_modules/.bin/buf"), ["build", "-o", image], {
    cwd: repository,
  });
  grpc.addService(serviceDefinition(EchoService), {
    echo(call: { request: EchoRequest; metadata: { get(key: string): unknown[] } }, done: Answer) {
      const { request, metadata } = call;
      if (request.fail !== "")
        return done({ code: status.PERMISSION_DENIED, details: "not for you" });
      done(null, answer({ text: request.text, server: String(metadata.get("x-tag")[0] ?? "") }));
    },
    repeat(call: Stream) {
      const { text, count } = call.request;
      for (let index = 0; index < count; index++) call.write(answer({ text, index }));
      call.end();
    },
    collect(call: Stream, done: Answer) {
      const texts: string[] = [];
      call.on("data", ({ text }) => texts.push(text));
      call.on("end", () => done(null, answer({ text: texts.join(" ") })));
    },
    chat(call: Stream) {
      call.on("data", ({ text }) => call.write(answer({ text })));
      call.on("end", () => call.end());
    },
  } as never);
  addresses.grpc = await listen(grpc);
  await once(connect.listen(0, "127.0.0.1"), "listening");
  addresses.connect = `127.0.0.1:${(connect.address() as AddressInfo).port}`;
});

afterAll(() => {
  grpc.forceShutdown();
  connect.closeAllConnections();
  connect.close();
  rmSync(scratch, { recursive: true, force: true });
});

async function listen(server: Server): Promise<string> {
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    );
  });
  return `127.0.0.1:${port}`;
}

type Answer = (error: object | null, message?: unknown) => void;
interface Stream {
  readonly request: EchoRequest;
  write(message: unknown): void;
  end(): void;
  on(event: "data" | "end", listener: (request: EchoRequest) => void): void;
}

const lines = (text: string) =>
  text
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as unknown);

describe.each([
  ["gRPC, by grpc-js", "grpc", []],
  ["Connect, by connect-node over HTTP/1.1", "connect", ["--protocol", "connect"]],
] as const)("micro call of a server of %s", (_, name, protocol) => {
  const call = (method: string, request: string, ...words: readonly string[]) =>
    micro(
      ["call", addresses[name], method, request, ...protocol, "--descriptor-set", image, ...words],
      { env, stdin: `{"text":"a"}\n{"text":"b"}\n` },
    );

  test("calls with one request and metadata", async () => {
    const ended = await call("EchoService/Echo", `{"text":"hi"}`, "-H", "x-tag: one");
    expect(ended).toMatchObject({ code: 0, stderr: "" });
    expect(lines(ended.stdout)).toEqual([{ text: "hi", server: "one" }]);
  });

  test("streams both ways", async () => {
    const repeated = await call("EchoService/Repeat", `{"text":"x","count":2}`);
    expect(lines(repeated.stdout)).toEqual([{ text: "x" }, { text: "x", index: 1 }]);
    const collected = await call("EchoService/Collect", "-");
    expect(lines(collected.stdout)).toEqual([{ text: "a b" }]);
    if (name === "connect") return;
    const chatted = await call("EchoService/Chat", "-");
    expect(lines(chatted.stdout)).toEqual([{ text: "a" }, { text: "b" }]);
  });

  test("exits with the code of its error", async () => {
    expect(await call("EchoService/Echo", `{"fail":"x"}`)).toEqual({
      code: 64 + 7,
      stdout: "",
      stderr: "error: permission_denied: not for you\n",
    });
  });

  test.skipIf(name === "grpc")("says what to speak instead of gRPC", async () => {
    const words = ["call", addresses[name], "EchoService/Echo", "{}", "--descriptor-set", image];
    const { stderr, code } = await micro(words, { env });
    expect(stderr).toMatch(/does not support HTTP\/2, which gRPC needs; try --protocol connect/);
    expect(code).toBe(64 + 14);
  });

  test("says what to do without a schema", async () => {
    const { stderr, code } = await micro(["call", addresses[name], "Echo", "{}", ...protocol], {
      env,
    });
    expect(stderr).toMatch(/does not support gRPC server reflection .*--proto or --descriptor-set/);
    expect(code).toBe(64 + 12);
  });
});

test("micro call and micro describe support the older gRPC reflection, which returns one file at a time", async () => {
  const server = new Server();
  const older = Object.entries(serviceDefinition(ServerReflection)).map(([name, method]) => {
    return [name, { ...method, path: method.path.replace(".v1.", ".v1alpha.") }] as const;
  });
  server.addService(Object.fromEntries(older), {
    serverReflectionInfo(call: ReflectionStream) {
      call.on("data", ({ messageRequest }) => {
        const messageResponse = reflected(messageRequest);
        call.write(create(ServerReflectionResponseSchema, { messageResponse }));
      });
      call.on("end", () => call.end());
    },
  } as never);
  server.addService(serviceDefinition(EchoService), {
    echo: ({ request }: { request: EchoRequest }, done: Answer) =>
      done(null, answer({ text: request.text })),
  } as never);
  const address = await listen(server);
  onTestFinished(() => server.forceShutdown());
  const called = await micro(["call", address, "Echo", `{"text":"hi"}`], { env });
  expect(called).toEqual({ code: 0, stdout: `{"text":"hi"}\n`, stderr: "" });
  expect((await micro(["describe", address, "Echoed"], { env })).stdout).toContain(
    "message Echoed {",
  );
});

type Question = ServerReflectionRequest["messageRequest"];
interface ReflectionStream {
  write(message: unknown): void;
  end(): void;
  on(event: "data" | "end", listener: (request: ServerReflectionRequest) => void): void;
}

/** What a server answers that has the echo service, without the files that a file imports. */
function reflected(asked: Question): ServerReflectionResponse["messageResponse"] {
  if (asked.case === "listServices") {
    const service = [create(ServiceResponseSchema, { name: EchoService.typeName })];
    return {
      case: "listServicesResponse",
      value: create(ListServiceResponseSchema, { service }),
    };
  }
  const files = new Map<string, DescFile>();
  const add = (file: DescFile) => {
    files.set(file.proto.name, file);
    file.dependencies.forEach(add);
  };
  add(EchoService.file);
  const file =
    asked.case === "fileByFilename"
      ? files.get(asked.value)
      : files.get(EchoService.file.proto.name);
  if (file === undefined) throw new Error(`unknown file ${asked.value}`);
  const fileDescriptorProto = [toBinary(FileDescriptorProtoSchema, file.proto)];
  return {
    case: "fileDescriptorResponse",
    value: create(FileDescriptorResponseSchema, { fileDescriptorProto }),
  };
}

test("micro describe reads a descriptor set, and refuses other files", async () => {
  const words = ["describe", addresses.grpc, "EchoService", "--descriptor-set"];
  const { stdout } = await micro([...words, image], { env });
  expect(stdout).toContain("rpc Chat(stream EchoRequest) returns (stream EchoResponse);");
  const { stderr, code } = await micro([...words, join(repository, "package.json")], { env });
  expect(stderr).toMatch(
    /package\.json is not a descriptor set with all its imports \(buf build -o/,
  );
  expect(code).toBe(2);
});
