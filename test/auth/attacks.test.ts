import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { attacks } from "./attacks.ts";

const root = join(import.meta.dirname, "../..");

/** Whether a file has these words in a text, such as the name of a test. */
function hasText(file: string, words: string): boolean {
  const escaped = words.replaceAll(/[\\^$.*+?()[\]{}|/]/g, "\\$&");
  return new RegExp(`["'\`][^"'\`\\n]*${escaped}`).test(readFileSync(join(root, file), "utf8"));
}

describe("the test of each attack is there:", () => {
  test.each(attacks)("$attack", ({ heldBy }) => {
    expect(heldBy.length).toBeGreaterThan(0);
    for (const [file, title] of heldBy)
      expect(hasText(file, title), `${file}: ${title}`).toBe(true);
  });
});

test("a test that is gone would be missed", () => {
  expect(hasText("test/auth/canary.test.ts", "a token shows nowhere")).toBe(true);
  expect(hasText("test/auth/canary.test.ts", "a token shows everywhere")).toBe(false);
});
