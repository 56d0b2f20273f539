import { defineConfig, mergeConfig } from "vitest/config";
import base from "./vitest.config.ts";

// The program is tested as it is built: `npm run test:cli` builds it first.
export default defineConfig(() => {
  const config = mergeConfig(base, { test: { testTimeout: 60_000, hookTimeout: 60_000 } });
  config.test.include = ["cli/test/**/*.test.ts"];
  config.test.exclude = ["**/node_modules/**"];
  return config;
});
