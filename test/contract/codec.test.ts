import { create } from "@bufbuild/protobuf";
import { bytesCodec, bytesFormat, type Format } from "@micro-es/runtime";
import {
  CodecRegistry,
  jsonFormat,
  jsonFormatWith,
  loadDescriptors,
  protobufCodec,
  protobufFormat,
} from "@micro-es/runtime/codec";
import { describe, expect, test } from "vitest";
import { echoCodecs } from "../gen/micro/test/v1/echo_micro.ts";
import { EchoRequestSchema } from "../gen/micro/test/v1/echo_pb.ts";
import { type CodecFixture, codecContract } from "./codec.ts";

const echoRequest = protobufCodec(EchoRequestSchema);
const messages = [
  {},
  { text: "hé\u0000llo", count: -1 },
  { payload: new Uint8Array([0, 128, 255]) },
];
const text = (value: string) => new TextEncoder().encode(value);

function fixture(malformed: readonly Uint8Array[]): CodecFixture {
  return {
    codec: echoRequest,
    messages: messages.map((init) => ({ init, received: create(EchoRequestSchema, init) })),
    invalid: { count: "many" },
    malformed,
  };
}

const formats: readonly [Format, CodecFixture][] = [
  [protobufFormat, fixture([new Uint8Array([0x0a, 0x05, 0x61]), new Uint8Array([0xff])])],
  [
    jsonFormat,
    fixture([
      text("{"),
      text('{"count":"x"}'),
      text("[]"),
      new Uint8Array([0x7b, 0xff, 0x7d]),
      text(""),
    ]),
  ],
  [
    bytesFormat,
    {
      codec: bytesCodec,
      messages: [new Uint8Array(), new Uint8Array([1, 2])].map((init) => ({
        init,
        received: init,
      })),
      invalid: "text",
      malformed: [],
    },
  ],
];

describe.each(formats)("codec $contentType", (format, contents) => {
  for (const { name, run } of codecContract(format, contents)) test(name, run);
});

// The same cases for the generated codec.
await loadDescriptors();
const [generated] = echoCodecs.filter(({ typeName }) => typeName === EchoRequestSchema.typeName);
const ofMessages = formats.filter(([format]) => format !== bytesFormat);
describe.each(ofMessages)("codec $contentType of a generated codec", (format, contents) => {
  for (const { name, run } of codecContract(format, { ...contents, codec: generated! })) {
    test(name, run);
  }
});

test("JSON skips members that the schema does not have, unless told otherwise", () => {
  const bytes = text('{"text":"a","since":"the next version"}');
  expect(jsonFormat.codecFor(echoRequest).decode(bytes).text).toBe("a");
  const strict = jsonFormatWith({ ignoreUnknownFields: false }).codecFor(echoRequest);
  expect(() => strict.decode(bytes)).toThrow(/since/);
});

describe("CodecRegistry", () => {
  const registry = new CodecRegistry([echoRequest]);

  test("finds a type's codec by name and content type, whatever its parameters", () => {
    const codec = registry.codec("micro.test.v1.EchoRequest", "Application/JSON; charset=utf-8");
    expect(codec.decode(text('{"text":"a"}'))).toEqual(create(EchoRequestSchema, { text: "a" }));
    expect(registry.typeNames).toEqual(["micro.test.v1.EchoRequest"]);
  });

  test.each([
    ["acme.Unknown", "application/json", /acme\.Unknown.*add the generated list/],
    ["micro.test.v1.EchoRequest", "text/csv", /text\/csv.*known: application\/protobuf/],
  ])("reports what is unknown: %s in %s", (typeName, contentType, message) => {
    expect(() => registry.codec(typeName, contentType)).toThrow(message);
  });

  test("opaque bytes have no schema for JSON", () => {
    expect(() => jsonFormat.codecFor(bytesCodec)).toThrow(/descriptor/);
    expect(() => bytesFormat.codecFor(echoRequest)).toThrow(/has a schema/);
  });
});
