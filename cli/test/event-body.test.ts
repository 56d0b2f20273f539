import { create, createFileRegistry, toBinary } from "@bufbuild/protobuf";
import {
  FileDescriptorSetSchema,
  file_google_protobuf_source_context,
  SourceContextSchema,
} from "@bufbuild/protobuf/wkt";
import { expect, test } from "vitest";
import { contentOf } from "../src/events/event-body.ts";

const { proto } = file_google_protobuf_source_context;
const schema = createFileRegistry(create(FileDescriptorSetSchema, { file: [proto] }));
const { typeName } = SourceContextSchema;
const binary = toBinary(SourceContextSchema, create(SourceContextSchema, { fileName: "a.proto" }));

const event = (contentType: string, body: Uint8Array | string) => ({
  typeName,
  contentType,
  body: typeof body === "string" ? new TextEncoder().encode(body) : body,
});

test.each([
  ["application/protobuf", binary],
  ["application/x-protobuf", binary],
  ["application/json; charset=utf-8", '{"file_name": "a.proto"}'],
])("an event in %s is shown by its schema", (contentType, body) => {
  expect(contentOf(event(contentType, body), schema)).toEqual({
    message: { fileName: "a.proto" },
  });
});

test("JSON that does not match the message is shown unchanged", () => {
  const text = '{"size": 3}';
  expect(contentOf(event("application/json", text), schema)).toEqual({ text });
});

test("without a schema an event is shown as text, or as bytes", () => {
  expect(contentOf(event("application/json", "{}"), undefined)).toEqual({ text: "{}" });
  expect(contentOf(event("application/protobuf", binary), undefined)).toEqual({
    base64: Buffer.from(binary).toString("base64"),
  });
});
