import { defineConfig } from "vitest/config";
import shared from "./vitest.config.ts";

/** What must hold on every version of Node: hostile clients, and the contract of what speaks HTTP. */
export default defineConfig({
  ...shared,
  test: {
    ...shared.test,
    include: ["test/hostile/**/*.test.ts", "test/contract/transport.test.ts"],
    exclude: ["**/node_modules/**"],
    testTimeout: 60_000,
    hookTimeout: 60_000,
    // One after another: the memory and the time of a hostile test are its own.
    fileParallelism: false,
  },
});
