import { createSelector, strategies } from "@micro-es/runtime";
import { describe, test } from "vitest";
import { selectorContract } from "./selector.ts";

const adaptive = new Set(["least-loaded", "p2c"]);

describe.each(Object.entries(strategies))("the %s selector", (name, strategy) => {
  const cases = selectorContract({
    create: (setup) => createSelector({ ...setup, strategy }),
    adaptive: adaptive.has(name),
  });
  for (const { name: what, run } of cases) test(what, run);
});
