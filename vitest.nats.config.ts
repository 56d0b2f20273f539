import { defineConfig, mergeConfig } from "vitest/config";
import base from "./vitest.config.ts";

/** What needs a nats-server; test/setup installs one. */
export default defineConfig(() => {
  const config = mergeConfig(base, { test: { testTimeout: 60_000, hookTimeout: 60_000 } });
  config.test.include = ["test/nats/**/*.test.ts"];
  config.test.exclude = ["**/node_modules/**"];
  return config;
});
