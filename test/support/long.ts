import { test } from "vitest";

/** How much of a test is run: `short` by `npm test`, more by `--ci`, everything by `--long`. */
const level = process.env.MICRO_TEST_LEVEL ?? "short";

/**
 * Whether CI runs the test, or everything does. Without it a test makes fewer rounds, or leaves out
 * variants whose kind another test covers.
 */
export const inCi = level === "ci" || level === "long";

/** Whether `npm test -- --long` runs everything, with tests that take minutes by themselves. */
export const long = level === "long";

/** A test that CI runs, and `npm test` by itself does not. */
export const testInCi = test.runIf(inCi);
