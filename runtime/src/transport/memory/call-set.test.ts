import fc from "fast-check";
import { expect, test } from "vitest";
import { MemoryCallSet } from "./call-set.ts";
import type { MemoryCall } from "./link.ts";

const newCall = () => ({ place: -1 }) as unknown as MemoryCall;

test("is the set of the calls that were added and not deleted, after any changes", () => {
  fc.assert(
    fc.property(fc.array(fc.nat(9)), (changes) => {
      const calls = Array.from({ length: 10 }, newCall);
      const open = new MemoryCallSet();
      const expected = new Set<MemoryCall>();
      for (const index of changes) {
        const call = calls[index]!;
        expect(open.delete(call)).toBe(expected.delete(call));
        if (index % 2 === 0) {
          open.add(call);
          expected.add(call);
        }
        expect(open.size).toBe(expected.size);
        expect(new Set(open.all())).toEqual(expected);
      }
    }),
  );
});
