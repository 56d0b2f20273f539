import { defineConfig, mergeConfig } from "vitest/config";
import base from "./vitest.config.ts";

export default defineConfig(() => {
  const config = mergeConfig(base, {
    test: { fileParallelism: false, testTimeout: 180_000, hookTimeout: 600_000 },
  });
  config.test.include = ["test/end-to-end/**/*.test.ts"];
  config.test.exclude = ["**/node_modules/**"];
  return config;
});
