import { defineConfig, mergeConfig } from "vitest/config";
import base from "./vitest.config.ts";

// The program is tested as it is built: `npm run test:cli` builds it first.
export default defineConfig(() => {
  // Each test starts several programs, which takes its time on a busy machine.
  const config = mergeConfig(base, {
    test: {
      testTimeout: 240_000,
      hookTimeout: 120_000,
      expect: { poll: { timeout: 60_000, interval: 20 } },
    },
  });
  config.test.include = ["cli/test/**/*.test.ts"];
  config.test.exclude = ["**/node_modules/**"];
  return config;
});
