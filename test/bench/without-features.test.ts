import { expect, test } from "vitest";
import { cutFiles, withoutFeatures } from "./without-features.ts";

test.each(cutFiles)("%s still has the code that the ablation cuts out", (file) => {
  expect(withoutFeatures(file)).not.toBe("");
});
