import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

/** A Consul that tests can start. */
export interface ConsulProgram {
  readonly path: string;
  readonly version: string;
}

/** The server that test/setup unpacks from Debian. */
const unpacked = fileURLToPath(new URL("../../../.tools/consul-1.8.7/consul", import.meta.url));

/**
 * The server that tests run against: `CONSUL_SERVER`, or what test/setup unpacked, or what the
 * system has.
 */
export function consulProgram(): ConsulProgram | undefined {
  const { CONSUL_SERVER } = process.env;
  const paths = CONSUL_SERVER === undefined ? [unpacked, "consul"] : [CONSUL_SERVER];
  for (const path of paths) {
    if (path.includes("/") && !existsSync(path)) continue;
    const { stdout } = spawnSync(path, ["version"], { encoding: "utf8" });
    const version = /Consul v?(\d\S*)/.exec(stdout ?? "")?.[1];
    if (version !== undefined) return { path, version };
  }
  return undefined;
}
