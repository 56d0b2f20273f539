import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

/** A Consul that tests can start. */
export interface ConsulProgram {
  readonly path: string;
  readonly version: string;
}

/** What test/setup unpacks from Debian, and what it builds on request. */
const [unpacked, built] = ["1.8.7", "1.14.11"].map((version) =>
  fileURLToPath(new URL(`../../../.tools/consul-${version}/consul`, import.meta.url)),
) as [string, string];

/**
 * The servers that tests run against: `CONSUL_SERVER` alone; or what test/setup unpacked, or else
 * what the system has, and what test/setup built.
 */
export function consulPrograms(): readonly ConsulProgram[] {
  const { CONSUL_SERVER } = process.env;
  if (CONSUL_SERVER !== undefined) return program(CONSUL_SERVER);
  const oldest = program(unpacked);
  return [...(oldest.length > 0 ? oldest : program("consul")), ...program(built)];
}

/** The one at a path or of a name, if it is there. */
function program(path: string): readonly ConsulProgram[] {
  if (path.includes("/") && !existsSync(path)) return [];
  const { stdout } = spawnSync(path, ["version"], { encoding: "utf8" });
  const version = /Consul v?(\d\S*)/.exec(stdout ?? "")?.[1];
  return version === undefined ? [] : [{ path, version }];
}
