import { expect, test } from "vitest";
import { MicroError } from "../../base/error.ts";
import { bytesCodec } from "../../codec/bytes.ts";
import type { Codec } from "../../codec/codec.ts";
import { notShareable, passByReference } from "./pass-by-reference.ts";

const limit = 4 * 1024 * 1024;

test("gives the other side its own bytes", () => {
  const sent = new Uint8Array([1, 2, 3]);
  const got = passByReference(bytesCodec, bytesCodec, sent, limit) as Uint8Array;
  sent.fill(9);
  passByReference(bytesCodec, bytesCodec, new Uint8Array([7, 7, 7]), limit);
  expect([...got]).toEqual([1, 2, 3]);
});

test.each([
  ["is larger than the limit", new Uint8Array(11), 10],
  ["is large", new Uint8Array(100_000), limit],
  ["does not fit its type", "text", limit],
])("copies a message that %s", (_what, message, most) => {
  expect(passByReference(bytesCodec, bytesCodec, message, most)).toBe(notShareable);
});

test("is not disturbed by a message whose getters send another", () => {
  const nested: Codec<Uint8Array> = {
    ...bytesCodec,
    encode: (message) => message,
    encodeInto(message, target, offset) {
      target.set(message, offset);
      expect(passByReference(bytesCodec, bytesCodec, new Uint8Array(8).fill(9), limit)).toBe(
        notShareable,
      );
      return offset + message.length;
    },
  };
  const got = passByReference(nested, bytesCodec, new Uint8Array([1, 2]), limit) as Uint8Array;
  expect([...got]).toEqual([1, 2]);
  const failing: Codec<Uint8Array> = {
    ...bytesCodec,
    encodeInto() {
      throw new MicroError("invalid_argument", "no");
    },
  };
  expect(passByReference(failing, bytesCodec, new Uint8Array(1), limit)).toBe(notShareable);
  expect(passByReference(bytesCodec, bytesCodec, new Uint8Array(1), limit)).not.toBe(notShareable);
});
