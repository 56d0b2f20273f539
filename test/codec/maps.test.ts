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
    }`,
});
const holder = codec("maps.Holder");
const entry = (field: number, key: number) => [(field << 3) | 2, 4, 0x08, key, 0x10, key];
const text = (key: number) => [0x12, 5, 0x08, key, 0x12, 1, 0x41];

test("entries of maps with integers as keys may come between those of others, any number of times", () => {
  const bytes: number[] = [];
  for (let key = 1; key < 60; key++) bytes.push(...entry(1, key), ...text(key));
  const { small, large } = holder.decode(Uint8Array.from(bytes));
  const keys = Array.from({ length: 59 }, (_, index) => String(index + 1));
  expect(Object.keys(small)).toEqual(keys);
  expect(Object.values(small)).toEqual(keys.map(Number));
  expect(Object.keys(large)).toEqual(keys);
});

test("a message that comes in parts has the entries of all parts", () => {
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
