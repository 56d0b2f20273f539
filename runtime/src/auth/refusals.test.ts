import { expect, test } from "vitest";
import { refusal } from "./refusals.ts";

test("the refusal of a caller has no stack trace, and later errors have one", () => {
  const { stackTraceLimit } = Error;
  const { stack, code, outcome } = refusal("unauthenticated");
  expect([code, outcome]).toEqual(["unauthenticated", "not-executed"]);
  expect(stack).not.toContain("\n    at ");
  expect(Error.stackTraceLimit).toBe(stackTraceLimit);
  expect(new Error("later").stack).toContain("\n    at ");
});
