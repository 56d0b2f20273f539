import { create, fromBinary, type Message, toBinary } from "@bufbuild/protobuf";
import { expect } from "vitest";
import type { TestCodec } from "./generated.ts";
import { toHex } from "./hex.ts";

/**
 * Expects bytes to decode to what protobuf-es makes of them, and to be written again as it writes
 * them.
 */
export function expectAsReflected(codec: TestCodec, bytes: Uint8Array): Message {
  const message = codec.decode(bytes);
  const reflected = fromBinary(codec.schema, bytes);
  expect(message).toStrictEqual(reflected);
  expect(toHex(codec.encode(message))).toBe(toHex(toBinary(codec.schema, reflected)));
  return message;
}

/** Expects a message to be written as protobuf-es writes it, and to be read again as it was. */
export function expectWrittenAsReflected(codec: TestCodec, init: object): Uint8Array {
  const message = create(codec.schema, init as never) as Message;
  const bytes = codec.encode(message);
  expect(toHex(bytes)).toBe(toHex(toBinary(codec.schema, message)));
  expect(toHex(codec.encode(init))).toBe(toHex(bytes));
  expect(codec.decode(bytes)).toStrictEqual(fromBinary(codec.schema, bytes));
  return bytes;
}
