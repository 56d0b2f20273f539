import { once } from "node:events";
import { createServer } from "node:http2";
import type { AddressInfo } from "node:net";
import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import {
  FileDescriptorProtoSchema,
  FileOptionsSchema,
  FieldDescriptorProto_Label as Label,
  FieldDescriptorProto_Type as Type,
} from "@bufbuild/protobuf/wkt";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { MicroError } from "@micro-es/runtime";
import {
  ServerReflection,
  type ServerReflectionRequest,
} from "@micro-es/runtime/gen/grpc/reflection/v1/reflection_pb.js";
import { describe, expect, onTestFinished, test } from "vitest";
import { openBackendParts } from "../src/backend-parts.ts";
import { exampleOf } from "../src/schema/example.ts";
import { findMethod } from "../src/schema/find-method.ts";
import { describeSchema } from "../src/schema/reflected-schema.ts";
import { type Reflected, reflect } from "../src/schema/reflection.ts";
import { micro } from "./support/micro.ts";

// Servers whose reflection sends invalid schemas, or larger ones than any real schema.

type File = MessageInitShape<typeof FileDescriptorProtoSchema>;
const bytesOf = (file: File) =>
  toBinary(FileDescriptorProtoSchema, create(FileDescriptorProtoSchema, file));

const service = (name = "S", method = "Do", type = ".t.v1.M") => ({
  name,
  method: [{ name: method, inputType: type, outputType: type }],
});
const field = (name: string, number: number, more: object = {}) => ({
  name,
  number,
  type: Type.STRING,
  label: Label.OPTIONAL,
  jsonName: name,
  ...more,
});
/** A file that is good unless `more` says otherwise. */
const file = (more: File = {}): File => ({
  name: "a.proto",
  package: "t.v1",
  syntax: "proto3",
  messageType: [{ name: "M", field: [field("x", 1)] }],
  service: [service()],
  ...more,
});
const part = (name: string, ...dependency: string[]): File => ({
  name,
  package: "p",
  syntax: "proto3",
  dependency,
});

interface Answers {
  readonly services?: readonly string[];
  /** The response for a symbol or a file; undefined for none. */
  readonly files: (request: ServerReflectionRequest) => readonly Uint8Array[] | undefined;
}

/** A server with such a reflection, until the end of the test. */
async function serve({ services = ["t.v1.S"], files }: Answers): Promise<string> {
  const server = createServer(
    connectNodeAdapter({
      // Its files are of one byte over and over, and would be refused for how far they inflate.
      compressMinBytes: 2 ** 31,
      routes: (router) =>
        router.service(ServerReflection, {
          async *serverReflectionInfo(requests, { signal }) {
            for await (const request of requests) {
              if (request.messageRequest.case === "listServices") {
                const listed = { service: services.map((name) => ({ name })) };
                yield { messageResponse: { case: "listServicesResponse", value: listed } };
                continue;
              }
              const found = files(request);
              if (found === undefined) await once(signal, "abort");
              const value = { fileDescriptorProto: [...(found ?? [])] };
              yield { messageResponse: { case: "fileDescriptorResponse", value } };
            }
          },
        }),
    }),
  );
  await once(server.listen(0, "127.0.0.1"), "listening");
  onTestFinished(() => {
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

async function reflected(answers: Answers, timeoutMs?: number): Promise<Reflected> {
  const address = await serve(answers);
  await using backend = await openBackendParts({ MICRO_REGISTRY: "memory" });
  return await reflect(backend.client("grpc"), {
    address,
    ...(timeoutMs === undefined ? {} : { timeoutMs }),
  });
}

const always = (...files: readonly File[]): Answers => {
  const bytes = files.map(bytesOf);
  return { files: () => bytes };
};
const chain = (length: number) =>
  Array.from({ length }, (_, index) => part(`d${index}.proto`, `d${index + 1}.proto`));

describe("refuses reflection with an error that says what, where and what to do,", () => {
  test.each<[what: string, answers: () => Answers, code: string, message: RegExp]>([
    [
      "that imports in a circle",
      () => always(file({ dependency: ["b.proto"] }), part("b.proto", "a.proto")),
      "data_loss",
      /circle: a\.proto → b\.proto → a\.proto/,
    ],
    [
      "that imports itself",
      () => always(file({ dependency: ["a.proto"] })),
      "data_loss",
      /circle: a\.proto → a\.proto/,
    ],
    [
      "with imports that never end",
      () => {
        let count = 0;
        return {
          files: ({ messageRequest: { case: kind, value } }) => [
            bytesOf(
              kind === "fileByFilename"
                ? part(value, `n${++count}.proto`)
                : file({ dependency: ["n0.proto"] }),
            ),
          ],
        };
      },
      "resource_exhausted",
      /more than 10000 files/,
    ],
    [
      "with 20,000 files",
      () => always(file({ dependency: ["d0.proto"] }), ...chain(20_000)),
      "resource_exhausted",
      /more than 10000 files/,
    ],
    [
      "with imports 9,000 deep",
      () => always(file({ dependency: ["d0.proto"] }), ...chain(9_000), part("d9000.proto")),
      "resource_exhausted",
      /more than 256 files deep/,
    ],
    [
      "with 300,000 definitions of two bytes",
      () => {
        const fields = new Uint8Array(600_000).map((_, index) => (index % 2 === 0 ? 0x12 : 0));
        const message = Buffer.concat([Buffer.from([0x22, 0xc0, 0xcf, 0x24]), fields]);
        return { files: () => [Buffer.concat([bytesOf({ name: "a.proto" }), message])] };
      },
      "resource_exhausted",
      /more than 250000 definitions/,
    ],
    [
      "with more than 32 MiB",
      () => {
        let count = 0;
        return {
          services: Array.from({ length: 20 }, (_, index) => `t.v1.S${index}`),
          files: () => [
            bytesOf({ name: `${++count}.proto`, package: "x".repeat(3_000_000), syntax: "proto3" }),
          ],
        };
      },
      "resource_exhausted",
      /more than 32 MiB/,
    ],
    [
      "with 20,000 services",
      () => ({
        ...always(file()),
        services: Array.from({ length: 20_000 }, (_, index) => `t.v1.S${index}`),
      }),
      "resource_exhausted",
      /more than 10000 services/,
    ],
    [
      "that never comes",
      () => ({ files: () => undefined }),
      "deadline_exceeded",
      /did not send its schema within/,
    ],
    [
      "of bytes that are not a descriptor",
      () => ({ files: () => [new Uint8Array(1_000).fill(0xff)] }),
      "data_loss",
      /not valid: /,
    ],
    [
      "of messages nested 2,000 deep",
      () => {
        let nested = Buffer.alloc(0);
        for (let depth = 0; depth < 2_000; depth++) {
          const size = nested.length;
          const length = size < 128 ? [size] : [(size & 127) | 128, size >> 7];
          nested = Buffer.concat([Buffer.from([depth === 1_999 ? 0x22 : 0x1a, ...length]), nested]);
        }
        return { files: () => [Buffer.concat([bytesOf({ name: "a.proto" }), nested])] };
      },
      "data_loss",
      /nested more than 100 deep/,
    ],
    [
      "of a file without a name",
      () => always(file({ name: "" })),
      "data_loss",
      /a file has no name/,
    ],
    [
      "of one file in two ways",
      () => always(file(), file({ messageType: [{ name: "M" }] })),
      "data_loss",
      /describes a\.proto twice, differently/,
    ],
    [
      "of one type in two files",
      () => always(file(), { ...file(), name: "b.proto", service: [] }),
      "data_loss",
      /defines t\.v1\.M, which another file defines/,
    ],
    [
      "of a type that is not there",
      () => always(file({ service: [service("S", "Do", ".t.v1.Nope")] })),
      "data_loss",
      /Nope not found/,
    ],
    [
      "of names that are not names",
      () => always(file({ service: [service("S\u001b[2J")] })),
      "data_loss",
      /invalid service name/,
    ],
    [
      "of a file that is not there",
      () => always(file({ dependency: ["b.proto"] })),
      "not_found",
      /does not describe b\.proto/,
    ],
    [
      "of a type of protobuf itself in another file",
      () =>
        always(file(), {
          name: "t.proto",
          package: "google.protobuf",
          syntax: "proto3",
          messageType: [{ name: "Timestamp", field: [field("evil", 1)] }],
        }),
      "data_loss",
      /defines google\.protobuf\.Timestamp/,
    ],
  ])("%s", async (_, answers, code, message) => {
    // The default would also do, but not on a machine that is busy with other tests.
    const wait = code === "deadline_exceeded" ? 300 : 60_000;
    const error = await reflected(answers(), wait).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(MicroError);
    expect(error).toMatchObject({ code });
    expect((error as MicroError).message).toMatch(message);
    expect((error as MicroError).message).toMatch(/http:\/\/127\.0\.0\.1:\d+/);
  });

  test("by `micro`, without a stack trace", async () => {
    const address = await serve(always(file({ dependency: ["a.proto"] })));
    for (const words of [
      ["describe", address],
      ["call", address, "Do", "{}"],
    ]) {
      const { stderr, code } = await micro(words, { env: { MICRO_REGISTRY: "memory" } });
      expect(stderr).toMatch(
        /^error: data_loss: the schema of .* is not valid: .*; set --proto .*\n$/,
      );
      expect(code).toBe(64 + 15);
    }
  });
});

describe("reflection is accepted", () => {
  test("with files that are resent for each service, counted once", async () => {
    const options = { uninterpretedOption: [{ stringValue: new Uint8Array(2_000_000) }] };
    const many = Array.from({ length: 40 }, (_, index) => service(`S${index}`));
    const schema = await reflected({
      ...always(file({ service: many, options }), part("b.proto")),
      services: ["t.v1.None", ...many.map(({ name }) => `t.v1.${name}`)],
    });
    expect(schema.services).toHaveLength(41);
    expect(findMethod(schema, "S39/Do").name).toBe("Do");
  });

  test("with imports 200 deep, and unknown options", async () => {
    const options = create(FileOptionsSchema);
    options.$unknown = [{ no: 70_000, wireType: 2, data: new Uint8Array([1, 0]) }];
    const files = [...chain(200), part("d200.proto"), file({ dependency: ["d0.proto"], options })];
    expect((await reflected(always(...files.reverse()))).services).toEqual(["t.v1.S"]);
  });

  test("with protobuf's own files in place of those that a server replaced", async () => {
    const replaced: File = {
      name: "google/protobuf/timestamp.proto",
      package: "google.protobuf",
      syntax: "proto3",
      messageType: [{ name: "Timestamp", field: [field("evil", 1)] }],
    };
    const schema = await reflected(always(file({ dependency: [replaced.name ?? ""] }), replaced));
    const { fields } = schema.registry.getMessage("google.protobuf.Timestamp") ?? {};
    expect(fields?.map(({ name }) => name)).toEqual(["seconds", "nanos"]);
  });

  test("with option extensions whose messages contain themselves", async () => {
    const itself = { type: Type.MESSAGE, typeName: ".t.v1.M" };
    const extension = [
      { ...field("o", 50_000, itself), extendee: ".google.protobuf.MethodOptions" },
    ];
    const schema = await reflected(
      always(
        file({
          dependency: ["google/protobuf/descriptor.proto"],
          messageType: [{ name: "M", field: [field("m", 1, itself)] }],
          extension,
        }),
      ),
    );
    expect(describeSchema(schema, []).map(({ name }) => name)).toEqual(["t.v1.S", "t.v1.M"]);
  });

  test("with a service of 100,000 methods", async () => {
    const method = Array.from({ length: 100_000 }, (_, index) => ({
      name: `Do${index}`,
      inputType: ".t.v1.M",
      outputType: ".t.v1.M",
    }));
    const schema = await reflected(always(file({ service: [{ name: "S", method }] })));
    expect(findMethod(schema, "S/Do99999").name).toBe("Do99999");
    expect(describeSchema(schema, ["t.v1.S"])[0]?.proto.split("\n")).toHaveLength(100_002);
    expect(() => findMethod(schema, "S/Du99999")).toThrow(/there is no method S\/Du99999/);
  });
});

describe("an example of a request", () => {
  test("terminates for messages with thousands of messages with thousands of messages", async () => {
    const itself = { type: Type.MESSAGE, typeName: ".t.v1.M" };
    const fields = Array.from({ length: 2_000 }, (_, index) =>
      field(`f${index}`, index + 1, itself),
    );
    const schema = await reflected(always(file({ messageType: [{ name: "M", field: fields }] })));
    const text = JSON.stringify(exampleOf(findMethod(schema, "Do").input));
    expect(text.length).toBeLessThan(50_000);
  });

  test("may have fields with any names", async () => {
    const fields = ["__proto__", "constructor"].map((name, index) => field(name, index + 1));
    const schema = await reflected(always(file({ messageType: [{ name: "M", field: fields }] })));
    const example = exampleOf(findMethod(schema, "Do").input) as object;
    expect(Object.keys(example)).toEqual(["__proto__", "constructor"]);
    expect(Object.getPrototypeOf(example)).toBe(Object.prototype);
  });
});
