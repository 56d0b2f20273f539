import { expect, test } from "vitest";
import { compare } from "./fuzz.ts";
import { type TestCodec, testCodecs } from "./generated.ts";
import { held } from "./held.ts";
import { hex, toHex } from "./hex.ts";
import { type Judge, protocJudge } from "./judge.ts";

const generated = await testCodecs();
const trap2 = generated.codec("trap2.All");
const trap3 = generated.codec("trap3.All");

/** Bytes of which an object cannot hold all, each with what it holds. */
const losses: readonly {
  readonly what: string;
  readonly codec: TestCodec;
  readonly bytes: string;
  readonly kept: string;
}[] = [
  {
    what: "text in a proto2 string",
    codec: trap2,
    bytes: "12 03 61 ff 62",
    kept: "12 05 61 ef bf bd 62",
  },
  {
    what: "text in a oneof, in a message, behind a group that ends with a byte above 127",
    codec: trap2,
    bytes: "a2 01 0e 93 01 08 ff ff ff ff 07 94 01 82 01 01 ff",
    kept: "a2 01 10 93 01 08 ff ff ff ff 07 94 01 82 01 03 ef bf bd",
  },
  {
    what: "text in a group",
    codec: trap2,
    bytes: "9b 01 0a 01 ff 9c 01",
    kept: "9b 01 0a 03 ef bf bd 9c 01",
  },
  {
    what: "text in a map's key",
    codec: trap2,
    bytes: "72 05 0a 01 ff 10 01",
    kept: "72 07 0a 03 ef bf bd 10 01",
  },
  {
    what: "unknown fields of a Struct and its entries",
    codec: trap3,
    bytes: "da 05 0f 10 05 0a 0b 0a 01 61 18 07 12 04 1a 02 78 79",
    kept: "da 05 0b 0a 09 0a 01 61 12 04 1a 02 78 79",
  },
  {
    what: "Values without a kind",
    codec: trap3,
    bytes: "da 05 12 0a 03 0a 01 61 0a 0b 0a 01 62 12 06 32 04 0a 00 0a 00",
    kept: "da 05 1a 0a 07 0a 01 61 12 02 08 00 0a 0f 0a 01 62 12 0a 32 08 0a 02 08 00 0a 02 08 00",
  },
  {
    what: "a null that is not null",
    codec: trap3,
    bytes: "da 05 09 0a 07 0a 01 61 12 02 08 05",
    kept: "da 05 09 0a 07 0a 01 61 12 02 08 00",
  },
  {
    what: "unknown fields of a wrapper",
    codec: trap3,
    bytes: "8a 05 04 08 05 10 07",
    kept: "8a 05 02 08 05",
  },
];

/** Bytes that objects can hold as they are. */
const whole: readonly {
  readonly what: string;
  readonly codec: TestCodec;
  readonly bytes: string;
}[] = [
  { what: "bytes", codec: trap2, bytes: "1a 01 ff" },
  { what: "an unknown field that could be text", codec: trap2, bytes: "ea 02 01 ff" },
  { what: "an extension's text", codec: trap2, bytes: "a2 06 01 ff" },
  {
    what: "an entry that is unknown as a whole",
    codec: trap2,
    bytes: "72 05 0a 01 ff 10 09",
  },
  { what: "a wrapper in a oneof", codec: trap3, bytes: "d2 04 05 0a 01 78 10 07" },
  { what: "a Struct in a Value", codec: trap3, bytes: "e2 05 04 2a 02 10 05" },
  { what: "U+FFFD", codec: trap2, bytes: "12 03 ef bf bd" },
  { what: "a byte order mark", codec: trap2, bytes: "12 04 ef bb bf 61" },
];

test.each(losses)("an object holds less: $what", ({ codec, bytes, kept }) => {
  const result = held(codec.schema, hex(bytes));
  expect(toHex(result.bytes)).toBe(kept);
  expect(result.lost.size).toBe(1);
});

test.each(whole)("an object holds all: $what", ({ codec, bytes }) => {
  const result = held(codec.schema, hex(bytes));
  expect(toHex(result.bytes)).toBe(bytes);
  expect(result.lost.size).toBe(0);
});

const judge = available();

// Refused by protobuf-es or misread, so that protoc is asked: an unknown value in a list of a
// closed enum, and a field with another wire type than its own.
const disputed = new Map([
  [trap2, "60 63"],
  [trap3, "0a 02 61 62"],
]);

test.skipIf(judge === undefined)("values that an object cannot hold are explained", () => {
  for (const { codec, bytes } of losses) {
    const verdict = compare(codec, hex(`${disputed.get(codec)} ${bytes}`), judge!);
    expect(verdict, bytes).toMatchObject({
      ok: true,
      what: expect.stringContaining("but for this"),
    });
  }
});

test.skipIf(judge === undefined)("and an error next to it is found", () => {
  const off = (of: TestCodec, change: (message: Record<string, unknown>) => void) => ({
    ...of,
    decode(bytes: Uint8Array) {
      const message = of.decode(bytes);
      change(message);
      return message;
    },
    encode: (message: object) => of.encode(message),
  });
  const planted: readonly [TestCodec, string, (message: Record<string, unknown>) => void][] = [
    // The text itself: too much lost, and another character for invalid bytes.
    [trap2, "12 03 61 ff 62", (it) => Object.assign(it, { text: "a" })],
    [trap2, "12 03 61 ff 62", (it) => Object.assign(it, { text: "a?b" })],
    // A field next to the text, present or not.
    [trap2, "12 03 61 ff 62 08 05", (it) => Object.assign(it, { number: 6 })],
    [trap2, "12 03 61 ff 62 08 05", (it) => void Reflect.deleteProperty(it, "number")],
    // Unknown fields, which an object does hold.
    [trap2, "12 03 61 ff 62", (it) => void Reflect.deleteProperty(it, "$unknown")],
    // Text that was fine, of a field that is not verified.
    [trap2, "12 01 61", (it) => Object.assign(it, { text: "\uFFFD" })],
    [trap3, "da 05 09 0a 07 0a 01 61 12 02 08 05", (it) => Object.assign(it, { struct: {} })],
    [trap3, "da 05 09 0a 07 0a 01 61 12 02 08 05", (it) => Object.assign(it, { struct: { a: 0 } })],
    [trap3, "8a 05 04 08 05 10 07", (it) => Object.assign(it, { wrappedInt32: 7 })],
  ];
  for (const [codec, bytes, change] of planted) {
    const verdict = compare(off(codec, change), hex(`${disputed.get(codec)} ${bytes}`), judge!);
    expect(verdict, `${bytes} ${change}`).toMatchObject({ ok: false });
  }
  // Text that is verified has no excuse.
  const lax = off(trap3, () => undefined);
  lax.decode = () => trap3.decode(hex("72 03 ef bf bd"));
  expect(compare(lax, hex("72 01 ff"), judge!)).toMatchObject({ ok: false });
});

/**
 * protoc comes from a registry of packages: where there is none, only the user of a checkout may go
 * without.
 */
function available(): Judge | undefined {
  try {
    return protocJudge(`${import.meta.dirname}/proto`, ["trap2.proto", "trap3.proto"]);
  } catch (error) {
    if (process.env.CI === "true") throw error;
    console.warn(`skipped what protoc has to judge: ${error}`);
    return undefined;
  }
}
