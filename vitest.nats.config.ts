import { defineConfig, mergeConfig } from "vitest/config";
import { natsPrograms } from "./test/nats/servers.ts";
import base from "./vitest.config.ts";

/** What needs a nats-server, once with each that there is; test/setup installs them. */
export default defineConfig(() => {
  const config = mergeConfig(base, { test: { testTimeout: 60_000, hookTimeout: 60_000 } });
  const test = {
    ...config.test,
    include: ["test/nats/**/*.test.ts"],
    exclude: ["**/node_modules/**"],
  };
  const programs = natsPrograms();
  const project = (name: string, env: Record<string, string>) => ({
    ...config,
    test: { ...test, name, env },
  });
  // Without a server the tests say so, or fail in CI.
  const projects =
    programs.length === 0
      ? [project("no nats-server", {})]
      : programs.map(({ path, version }) =>
          project(`nats-server ${version}`, { NATS_SERVER: path }),
        );
  return { test: { projects } };
});
