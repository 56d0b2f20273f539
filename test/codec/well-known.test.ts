import { type DescMessage, fromBinary, type Message, toBinary } from "@bufbuild/protobuf";
import {
  AnySchema,
  DurationSchema,
  EmptySchema,
  FieldMaskSchema,
  TimestampSchema,
} from "@bufbuild/protobuf/wkt";
import type { MessageCodec } from "@micro-es/runtime";
import {
  AnyCodec,
  DurationCodec,
  EmptyCodec,
  FieldMaskCodec,
  TimestampCodec,
  wellKnownDescriptors,
} from "@micro-es/runtime/codegenv1/well-known";
import { expect, test } from "vitest";
import { messageType } from "../../runtime/src/codec/message-type.ts";
import { Random, randomMessage } from "./random-message.ts";

const codecs: readonly (readonly [DescMessage, MessageCodec<Message>])[] = [
  [AnySchema, AnyCodec as never],
  [DurationSchema, DurationCodec as never],
  [EmptySchema, EmptyCodec as never],
  [FieldMaskSchema, FieldMaskCodec as never],
  [TimestampSchema, TimestampCodec as never],
];

test.each(codecs)("%s is read and written as by protobuf-es", (schema, codec) => {
  const random = new Random(1);
  for (let i = 0; i < 200; i++) {
    const message = randomMessage(schema, random);
    const bytes = toBinary(schema, message);
    expect(codec.encode(message as never)).toEqual(bytes);
    expect(codec.decode(bytes)).toStrictEqual(fromBinary(schema, bytes));
  }
  expect(codec.create()).toStrictEqual(fromBinary(schema, new Uint8Array()));
  expect(() => codec.decode(new Uint8Array([0x0a, 0x7f]))).toThrow(codec.typeName);
});

test.each(codecs)("%s is not written as another type", (schema, codec) => {
  const other = schema === EmptySchema ? DurationSchema : EmptySchema;
  expect(() => codec.encode(fromBinary(other, new Uint8Array()) as never)).toThrow(
    `expected a ${schema.typeName}, got a ${other.typeName}`,
  );
});

test.each(codecs)("elements of %s are counted alike without a descriptor", (schema, codec) => {
  const table = wellKnownDescriptors.table(codec.typeName)!;
  expect(messageType(table)).toEqual(messageType(schema));
});
