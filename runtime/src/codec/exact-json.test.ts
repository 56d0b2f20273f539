import { createRegistry, type DescMessage } from "@bufbuild/protobuf";
import {
  AnySchema,
  DoubleValueSchema,
  DurationSchema,
  Int32ValueSchema,
  Int64ValueSchema,
  TimestampSchema,
  UInt64ValueSchema,
  ValueSchema,
} from "@bufbuild/protobuf/wkt";
import type { MicroError } from "@micro-es/runtime";
import { describe, expect, test } from "vitest";
import { jsonFormatWith } from "./json.ts";
import { protobufCodec } from "./protobuf.ts";

const registry = createRegistry(TimestampSchema, Int64ValueSchema, DurationSchema);
const format = jsonFormatWith({ registry });

/** The JSON after decoding and encoding it again, or the code of the error. */
function roundTrip(schema: DescMessage, json: string): string {
  const codec = format.codecFor(protobufCodec(schema));
  try {
    return new TextDecoder().decode(codec.encode(codec.decode(new TextEncoder().encode(json))));
  } catch (error) {
    return (error as MicroError).code;
  }
}

describe("64-bit numbers in JSON", () => {
  test.each([
    ["9007199254740993", '"9007199254740993"'],
    ["-9007199254740993", '"-9007199254740993"'],
    ["9223372036854775807", '"9223372036854775807"'],
    ["-9223372036854775808", '"-9223372036854775808"'],
    ["9007199254740993.0", '"9007199254740993"'],
    ["9.007199254740993e15", '"9007199254740993"'],
    ["90071992547409930e-1", '"9007199254740993"'],
    ["1e3", '"1000"'],
    ["9223372036854775808", "invalid_argument"],
    ["9007199254740993.5", "invalid_argument"],
    ["1e400", "invalid_argument"],
  ])("keep their value or are refused: %s", (json, expected) => {
    expect(roundTrip(Int64ValueSchema, json)).toBe(expected);
  });

  test("are unsigned where the type is", () => {
    expect(roundTrip(UInt64ValueSchema, "18446744073709551615")).toBe('"18446744073709551615"');
    expect(roundTrip(UInt64ValueSchema, "18446744073709551616")).toBe("invalid_argument");
  });

  test("stay numbers where any value is allowed", () => {
    expect(roundTrip(ValueSchema, '{"a":9007199254740992}')).toBe('{"a":9007199254740992}');
  });
});

describe("numbers in JSON written as strings", () => {
  test.each([" 5", "5 ", "", "0x10", "0b1", "0o7", "5n", "+5", "1_000", "--5"])(
    "are refused unless decimal: %j",
    (text) => {
      for (const schema of [Int64ValueSchema, Int32ValueSchema, DoubleValueSchema]) {
        expect(roundTrip(schema, JSON.stringify(text))).toBe("invalid_argument");
      }
    },
  );

  test("are accepted if decimal", () => {
    expect(roundTrip(Int64ValueSchema, '"-5"')).toBe('"-5"');
    expect(roundTrip(Int32ValueSchema, '"5"')).toBe("5");
    expect(roundTrip(DoubleValueSchema, '"1.5e3"')).toBe("1500");
    expect(roundTrip(DoubleValueSchema, '"-Infinity"')).toBe('"-Infinity"');
  });

  test("are refused beyond the precision of JSON.parse, anywhere", () => {
    expect(roundTrip(ValueSchema, '{"a":[1e400]}')).toBe("invalid_argument");
  });
});

test.each([
  '{"@type":"type.googleapis.com/google.protobuf.Int64Value","value":9007199254740993}',
  '{"value":9007199254740993,"@type":"type.googleapis.com/google.protobuf.Int64Value"}',
  '{"@type":"type.googleapis.com\\/google.protobuf.Int64Value","value":9007199254740993}',
])("a 64-bit number in an Any keeps its value: %s", (json) => {
  expect(roundTrip(AnySchema, json)).toContain('"value":"9007199254740993"');
});

describe("timestamps in JSON", () => {
  test.each([
    "2026-02-30T00:00:00Z",
    "2026-02-29T00:00:00Z",
    "2100-02-29T00:00:00Z",
    "2026-04-31T00:00:00Z",
    "2026-01-01T24:00:00Z",
    "2026-01-01T23:59:60Z",
    "2026-00-01T00:00:00Z",
    "2026-13-01T00:00:00Z",
    "2026-01-00T00:00:00Z",
  ])("that do not exist are refused: %s", (text) => {
    expect(roundTrip(TimestampSchema, JSON.stringify(text))).toBe("invalid_argument");
  });

  test.each(["2024-02-29T23:59:59Z", "2000-02-29T00:00:00Z", "0001-01-01T00:00:00Z"])(
    "that exist are kept: %s",
    (text) => {
      expect(roundTrip(TimestampSchema, JSON.stringify(text))).toBe(JSON.stringify(text));
    },
  );
});

test("repeated members and excessive nesting are refused", () => {
  expect(roundTrip(ValueSchema, '{"a":1,"a":2}')).toBe("invalid_argument");
  expect(roundTrip(ValueSchema, '{"a":1,"\\u0061":2}')).toBe("invalid_argument");
  expect(roundTrip(ValueSchema, `${"[".repeat(100_000)}${"]".repeat(100_000)}`)).toBe(
    "invalid_argument",
  );
  expect(roundTrip(ValueSchema, '{"__proto__":{"b":1},"a":[1,null,true,"x"]}')).toBe(
    '{"__proto__":{"b":1},"a":[1,null,true,"x"]}',
  );
});
