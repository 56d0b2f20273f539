import { create, toBinary } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { generated } from "./generated.ts";

const { codec } = await generated({
  "maps.proto": `
    syntax = "proto3";
    package maps;
    message Holder {
      map<int32, int32> small = 1;
      map<uint64, string> large = 2;
      Holder inner = 3;
      repeated Holder list = 4;
      map<int64, int64> longs = 5;
      map<sint64, bool> zigzags = 6;
      map<fixed64, double> fixed = 7;
      map<sfixed64, Holder> signed = 8;
      map<uint32, float> floats = 9;
    }`,
});
const holder = codec("maps.Holder");
const { schema } = holder;
const entry = (field: number, key: number) => [(field << 3) | 2, 4, 0x08, key, 0x10, key];
const text = (key: number) => [0x12, 5, 0x08, key, 0x12, 1, 0x41];

test("entries of maps with integer keys may be interleaved with others, any number of times", () => {
  const bytes: number[] = [];
  for (let key = 1; key < 60; key++) bytes.push(...entry(1, key), ...text(key));
  const { small, large } = holder.decode(Uint8Array.from(bytes));
  const keys = Array.from({ length: 59 }, (_, index) => String(index + 1));
  expect(Object.keys(small)).toEqual(keys);
  expect(Object.values(small)).toEqual(keys.map(Number));
  expect(Object.keys(large)).toEqual(keys);
});

test("a message that is sent in parts has the entries of all parts", () => {
  const bytes: number[] = [];
  for (let key = 1; key < 40; key++) bytes.push(0x1a, 6, ...entry(1, key));
  const { inner } = holder.decode(Uint8Array.from(bytes));
  expect(Object.keys(inner.small)).toHaveLength(39);
});

test("no two messages share a map, and it is an object like any other", () => {
  const message = holder.decode(
    Uint8Array.from([0x22, 6, ...entry(1, 5), 0x22, 6, ...entry(1, 6)]),
  );
  const [one, other] = message.list;
  expect(one.small).toStrictEqual({ 5: 5 });
  expect(other.small).toStrictEqual({ 6: 6 });
  expect(Object.getPrototypeOf(one.small)).toBe(Object.prototype);
  expect(holder.decode(holder.encode(message))).toStrictEqual(message);
  expect(holder.decode(new Uint8Array(0)).small).toStrictEqual({});
});

const upTo = (count: number) => Array.from({ length: count }, (_, index) => index);

test.each<[string, readonly (number | bigint)[]]>([
  ["none", []],
  ["counted from 0", upTo(40)],
  ["counted from 1", upTo(40).slice(1)],
  ["counted, with gaps", upTo(60).filter((key) => key % 3 !== 2)],
  ["counted, with more gaps than are looked for", [0, 1, 2, 900, 901]],
  ["far apart", [7, 1_000_000, 2_147_483_647]],
  [
    "of which some need 64 bits",
    [0, 1, 4_294_967_295n, 4_294_967_296n, 2n ** 53n + 1n, 2n ** 63n - 1n],
  ],
])("maps are written and read as by protobuf-es when their keys are %s", (_, all) => {
  const narrow = all.filter((key) => key <= 2_147_483_647);
  const map = <V>(keys: typeof all, value: (key: number | bigint) => V) =>
    Object.fromEntries(keys.map((key) => [String(key), value(key)]));
  const message = create(schema, {
    small: map(narrow, Number),
    large: map(all, String),
    longs: map(all, BigInt),
    zigzags: map(all, (key) => key === 1),
    fixed: map(all, (key) => Number(key) / 3),
    signed: map(all, () => create(schema)),
    floats: map(narrow, (key) => Number(key) % 100),
  });
  const bytes = toBinary(schema, message);
  expect(holder.encode(message)).toEqual(bytes);
  expect(holder.decode(bytes)).toStrictEqual(message);
});

test("negative keys come after the others, in the engine's order", () => {
  const message = create(schema, {
    small: { "-5": 1, 0: 2, 1: 3, "-2147483648": 4 },
    longs: { "-1": 5n, 1: 6n, "-9223372036854775808": 7n },
    zigzags: { "-1": true, 0: false },
    signed: { "-9223372036854775808": {}, 1: {} },
  });
  const bytes = toBinary(schema, message);
  expect(holder.encode(message)).toEqual(bytes);
  expect(holder.decode(bytes)).toStrictEqual(message);
});

test("only a map's own entries are written", () => {
  const small = Object.assign(Object.create({ 0: 1, 1: 7 }), { 1: 1, 2: 2 });
  expect(holder.decode(holder.encode({ small })).small).toStrictEqual({ 1: 1, 2: 2 });
});

test("values that are equal to none, or missing, are treated as in any other field", () => {
  const floats = { 0: Number.NaN, 1: Number.NaN, 2: 1 };
  expect(holder.decode(holder.encode({ floats })).floats).toStrictEqual(floats);
  expect(() => holder.encode({ small: { 0: 1, 1: undefined, 2: 3 } as never })).toThrow(
    "cannot encode maps.Holder.small.1: expected a 32-bit integer, got undefined",
  );
});

test("invalid keys and values are refused, and the error names them", () => {
  expect(() => holder.encode({ small: { 0: 1, 1: 2 ** 31 } })).toThrow("maps.Holder.small.1");
  expect(() => holder.encode({ small: { 0: 1, one: 1 } })).toThrow(
    'expected a map with integers as keys, got "one"',
  );
  expect(() => holder.encode({ longs: { 1: 1n, "01": 1n } })).toThrow(
    'expected a map with integers as keys, got "01"',
  );
  expect(() => holder.encode({ small: { 2147483648: 1 } })).toThrow("32-bit integer");
});
