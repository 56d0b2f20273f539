import { expect, test } from "vitest";
import { randomId } from "./random-id.ts";

test("an id is never taken for an option of a command line", () => {
  const ids = Array.from({ length: 2_000 }, () => randomId(12));
  expect(new Set(ids.map((id) => id.length))).toEqual(new Set([16]));
  expect(ids.filter((id) => id.startsWith("-"))).toEqual([]);
});
