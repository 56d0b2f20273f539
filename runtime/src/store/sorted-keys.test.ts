import { Buffer } from "node:buffer";
import fc from "fast-check";
import { expect, test } from "vitest";
import { compareKeys } from "./key.ts";
import { SortedKeys } from "./sorted-keys.ts";

const key = fc.string({ unit: "grapheme", maxLength: 4 });
const bytewise = (a: string, b: string) => Buffer.compare(Buffer.from(a), Buffer.from(b));

test("compares keys as their UTF-8 bytes compare", () => {
  const anyKey = fc.string({ unit: "binary", maxLength: 6 });
  fc.assert(
    fc.property(anyKey, anyKey, (a, b) => {
      expect(Math.sign(compareKeys(a, b))).toBe(bytewise(a, b));
    }),
    { numRuns: 300 },
  );
});

test("is the sorted set of what was added and not removed", () => {
  const step = fc.record({ add: fc.boolean(), key: fc.oneof(key, fc.nat(3000).map(String)) });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 3000, size: "max" }), (steps) => {
      const sorted = new SortedKeys();
      const expected = new Set<string>();
      for (const { add, key } of steps) {
        if (add) sorted.add(key);
        else sorted.remove(key);
        if (add) expected.add(key);
        else expected.delete(key);
      }
      const found: string[] = [];
      for (let at = sorted.first(); at !== undefined; at = sorted.after(at)) found.push(at);
      expect(found).toEqual([...expected].sort(bytewise));
      for (const { key } of steps.slice(0, 20)) {
        expect(sorted.from(key)).toBe(found.find((other) => bytewise(other, key) >= 0));
      }
    }),
    { numRuns: 15 },
  );
});
