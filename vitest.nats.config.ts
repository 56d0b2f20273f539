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
  const project = (name: string, env: Record<string, string>, exclude: readonly string[] = []) => ({
    ...config,
    test: { ...test, name, env, exclude: [...test.exclude, ...exclude] },
  });
  /** TLS and credentials are looked at once, with the newest server. */
  const notForAll = ["test/nats/secured.test.ts"];
  // Without a server the tests say so, or fail in CI.
  const projects =
    programs.length === 0
      ? [project("no nats-server", {})]
      : programs.map(({ path, version }, index) =>
          project(
            `nats-server ${version}`,
            { NATS_SERVER: path },
            index < programs.length - 1 ? notForAll : [],
          ),
        );
  return { test: { projects } };
});
