import { expect, test } from "vitest";
import { CallTable } from "./call-table.ts";

test("finds calls by any numbers, as a map does", () => {
  const table = new CallTable<{ readonly id: number }>();
  const map = new Map<number, { readonly id: number }>();
  let state = 7;
  const random = (below: number) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
  let next = 0;
  for (let step = 0; step < 20_000; step++) {
    // In sequence, far apart, and all on one slot of the array.
    const id = [++next, random(0xffff_ffff), random(64) * 65_536][random(3)]!;
    const known = map.get(id);
    expect(table.get(id) === known).toBe(true);
    if (known === undefined && map.size < 3_000) {
      const call = { id };
      map.set(id, call);
      table.add(call);
    } else {
      const [some] = map.values();
      if (some === undefined) continue;
      map.delete(some.id);
      expect(table.delete(some)).toBe(true);
      expect(table.delete(some)).toBe(false);
    }
    expect(table.size).toBe(map.size);
  }
  expect(new Set(table.values())).toEqual(new Set(map.values()));
});
