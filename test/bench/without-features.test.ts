import { expect, test } from "vitest";
import { cutFiles, without } from "./without-features.ts";

test.each(cutFiles)("the code for %s that the ablation cuts out is still in %s", (part, file) => {
  expect(without(part, file)).not.toBe("");
});
