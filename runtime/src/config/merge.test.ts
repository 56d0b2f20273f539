import fc from "fast-check";
import { expect, test } from "vitest";
import type { ConfigTable } from "./config.ts";
import { checkTable, equalValues } from "./config-table.ts";
import { merge } from "./merge.ts";

const names = fc.constantFrom("a", "b", "c", "toString", "hasOwnProperty", "", "0");
const hostileNames = fc.oneof(names, fc.constantFrom("__proto__", "constructor", "prototype"));

function tables(name: fc.Arbitrary<string>): fc.Arbitrary<unknown> {
  const { value } = fc.letrec((tie) => ({
    value: fc.oneof(
      { depthSize: "medium", withCrossShrink: true },
      fc.oneof(fc.string(), fc.double({ noNaN: true, noDefaultInfinity: true }), fc.boolean()),
      fc.constant(null),
      fc.array(tie("value"), { maxLength: 3 }),
      fc.array(fc.tuple(name, tie("value")), { maxLength: 4 }).map(Object.fromEntries),
    ),
  }));
  return fc.array(fc.tuple(name, value), { maxLength: 4 }).map(Object.fromEntries);
}

/** The rules of merging, written plainly for two tables. */
function mergeTwo(a: ConfigTable, b: ConfigTable): ConfigTable {
  const both: Record<string, unknown> = { ...a };
  for (const [name, value] of Object.entries(b)) {
    const old = Object.hasOwn(both, name) ? both[name] : undefined;
    const tables = [old, value].every(
      (x) => x !== null && typeof x === "object" && !Array.isArray(x),
    );
    both[name] = tables ? mergeTwo(old as ConfigTable, value as ConfigTable) : value;
  }
  return both as ConfigTable;
}

test("merging all equals merging two at a time, from the first on", () => {
  fc.assert(
    fc.property(fc.array(tables(names), { maxLength: 4 }), (inputs) => {
      const layers = inputs.map((input, i) => ({
        source: String(i),
        values: checkTable(input, "test"),
      }));
      const { values, sources } = merge(layers);
      const expected = layers.reduce<ConfigTable>((a, b) => mergeTwo(a, b.values), {});
      expect(equalValues(values, expected)).toBe(true);
      for (const [path, source] of sources) {
        const at = (table: unknown) =>
          path
            .split("\0")
            .reduce<unknown>((v, name) => (v as Record<string, unknown>)[name], table);
        expect(Object.is(at(values), at(layers[Number(source)]!.values))).toBe(true);
      }
    }),
    { numRuns: 500 },
  );
});

test("no input changes the prototype of objects, and refusals are clear", () => {
  const before = Reflect.ownKeys(Object.prototype);
  let refused = 0;
  fc.assert(
    fc.property(fc.array(tables(hostileNames), { maxLength: 3 }), (inputs) => {
      try {
        const layers = inputs.map((input, i) => ({
          source: String(i),
          // As a parser returns it: names are own properties of the table.
          values: checkTable(JSON.parse(JSON.stringify(input)), "test"),
        }));
        const { values } = merge(layers);
        expect(Object.getPrototypeOf(values)).toBe(Object.prototype);
      } catch (error) {
        refused++;
        expect(error).toMatchObject({ code: "invalid_argument" });
      }
      expect(({} as Record<string, unknown>).a).toBeUndefined();
    }),
    { numRuns: 2000 },
  );
  expect(refused).toBeGreaterThan(50);
  expect(Reflect.ownKeys(Object.prototype)).toEqual(before);
});

test("refuses values that are nested too deeply or not a configuration", () => {
  let deep: unknown = 1;
  for (let i = 0; i < 40; i++) deep = { a: deep };
  for (const value of [
    deep,
    [],
    null,
    "text",
    { a: undefined },
    { a: Number.NaN },
    { a: () => 1 },
  ]) {
    expect(() => checkTable(value, "test")).toThrow(/^test/);
  }
});
