import { test } from "vitest";

test("computes for ever", () => {
  for (;;);
});
