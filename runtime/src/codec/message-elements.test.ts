import { isDeepStrictEqual } from "node:util";
import { create, toBinary } from "@bufbuild/protobuf";
import { MicroError } from "@micro-es/runtime";
import { jsonFormat, protobufCodec } from "@micro-es/runtime/codec";
import { described } from "@micro-es/runtime/codegenv1";
import { describe, expect, test } from "vitest";
import { elementBombs, jsonBombs } from "../../../test/attacks/wire/element-bombs.ts";
import {
  SayRequestCodec,
  targetDescriptors,
} from "../../../test/gen/micro/attack/v1/target_micro.ts";
import { type SayRequest, SayRequestSchema } from "../../../test/gen/micro/attack/v1/target_pb.ts";
import type { AnyCodec } from "./codec.ts";
import { checkMessageElements, decodeWithin, defaultMaxElements } from "./message-elements.ts";

/** As output of earlier generators has it. */
const fast = described(SayRequestCodec, SayRequestSchema);
const lazy = described(SayRequestCodec, targetDescriptors, "SayRequestSchema");
// Other files in the same process may load it.
Object.defineProperty(lazy, "schema", { get: () => undefined, set: () => undefined });
const reflect = protobufCodec(SayRequestSchema) as AnyCodec;

function decode(codec: AnyCodec, bytes: Uint8Array, most = defaultMaxElements): SayRequest {
  return decodeWithin(codec, bytes, 0, bytes.length, false, most) as SayRequest;
}

function errorOf(run: () => unknown): { code: string; message: string } {
  try {
    run();
  } catch (error) {
    if (error instanceof MicroError) return { code: error.code, message: error.message };
    throw error;
  }
  throw new Error("nothing was thrown");
}

/** The smallest limit with which a message passes. */
function elementsOf(bytes: Uint8Array): number {
  let most = 1;
  while (!passes(bytes, most)) most++;
  return most;
}

function passes(bytes: Uint8Array, most: number): boolean {
  try {
    checkMessageElements(SayRequestSchema, bytes, 0, bytes.length, most);
    return true;
  } catch (error) {
    if (error instanceof MicroError && error.code === "resource_exhausted") return false;
    throw error;
  }
}

describe("a message of 4 MiB", () => {
  // Each is a byte, not an object.
  const bombs = Object.entries(elementBombs).filter(([name]) => name !== "packed booleans");

  test.each(bombs)("of %s is refused before it is decoded", (_, bomb) => {
    const bytes = bomb();
    for (const codec of [fast, lazy, reflect]) {
      const { code, message } = errorOf(() => decode(codec, bytes));
      expect(code).toBe("resource_exhausted");
      expect(message).toContain("has more than 262144 elements");
      expect(message).toContain("raise maxMessageElements");
    }
  });

  test.each([
    ["booleans", { flags: new Array<boolean>(4_000_000).fill(true) }],
    ["text", { name: "é".repeat(2_000_000) }],
    ["bytes", { data: new Uint8Array(4_000_000) }],
    ["large integers", { numbers: new Array<bigint>(420_000).fill(-1n) }],
    [
      "items with names",
      { items: Array.from({ length: 190_000 }, () => ({ name: "twenty characters..." })) },
    ],
    ["Struct values", { json: { list: Array.from({ length: 90_000 }, (_, at) => `value ${at}`) } }],
  ])("of %s is decoded", (_, init) => {
    const bytes = toBinary(SayRequestSchema, create(SayRequestSchema, init));
    // An assertion would compare millions of bytes one by one.
    expect(isDeepStrictEqual(decode(fast, bytes), decode(reflect, bytes))).toBe(true);
    expect(isDeepStrictEqual(decode(lazy, bytes), decode(reflect, bytes))).toBe(true);
  });
});

test("elements are messages, entries, unknown fields and values in lists", () => {
  const bytes = (init: object) => toBinary(SayRequestSchema, create(SayRequestSchema, init));
  const list = (length: number) => ({ length });
  expect(elementsOf(bytes({ items: Array.from(list(400), () => ({})) }))).toBe(450);
  expect(elementsOf(bytes({ numbers: new Array(400).fill(1n) }))).toBe(100);
  expect(elementsOf(bytes({ mask: { paths: new Array(400).fill("") } }))).toBe(101);
  expect(elementsOf(Buffer.alloc(1_200, Buffer.of(0xa0, 1, 7)))).toBe(400);
});

test("a message whose bytes do not match its type is invalid, however large", () => {
  const cutOff = Buffer.concat([Buffer.alloc(600_000, Buffer.of(40, 1)), Buffer.of(10, 5, 1)]);
  for (const codec of [fast, reflect]) {
    expect(errorOf(() => decode(codec, cutOff)).code).toBe("invalid_argument");
  }
});

test("a field with the wrong wire type does not hide what follows", () => {
  // Decoders that go by a field's number read the contents of such a length as fields.
  const items = Buffer.alloc(800_000, Buffer.of(3 * 8 + 2, 0));
  const length = Buffer.of(10 * 8 + 2, 0x80, 0xea, 0x30);
  expect(errorOf(() => decode(reflect, Buffer.concat([length, items]))).code).toBe(
    "resource_exhausted",
  );
});

describe("JSON of 4 MiB", () => {
  const json = jsonFormat.codecFor(fast);
  const harmless = new Set(["a string of escapes"]);
  const bombs = Object.entries(jsonBombs).filter(([name]) => !harmless.has(name));

  test.each(bombs)("of %s is refused", (_, bomb) => {
    const { code, message } = errorOf(() => json.decode(Buffer.from(bomb())));
    expect(["resource_exhausted", "invalid_argument"]).toContain(code);
    expect(message.length).toBeLessThan(1_000);
  });

  test("of ordinary items is read, up to the configured limit", () => {
    const items = Array.from({ length: 20_000 }, (_, at) => ({ name: `item ${at}` }));
    const bytes = Buffer.from(JSON.stringify({ items }));
    expect(decode(json, bytes).items).toHaveLength(20_000);
    expect(errorOf(() => decode(json, bytes, 20_000)).code).toBe("resource_exhausted");
  });
});
