import { localRuntime } from "@micro-es/runtime/runtime/local";
import { describe, test } from "vitest";
import { runtimeContract } from "./runtime.ts";

const create = async () =>
  localRuntime({
    crashLoopFailures: 3,
    backoff: { firstMs: 10, factor: 2, mostMs: 50, jitter: 0.2 },
  });

describe("runtime local", () => {
  for (const { name, run } of runtimeContract(create)) test.concurrent(name, run);
});
