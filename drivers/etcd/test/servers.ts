import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

/** An etcd that tests can start. */
export interface EtcdProgram {
  readonly path: string;
  readonly version: string;
}

/** The server that test/setup builds where there is Go. */
const built = fileURLToPath(new URL("../../../.tools/etcd-3.6.16/etcd", import.meta.url));

/**
 * The server that tests run against: `ETCD_SERVER`, or what test/setup built, or what the system
 * has.
 */
export function etcdProgram(): EtcdProgram | undefined {
  const { ETCD_SERVER } = process.env;
  const paths = ETCD_SERVER === undefined ? [built, "etcd"] : [ETCD_SERVER];
  for (const path of paths) {
    if (path.includes("/") && !existsSync(path)) continue;
    const { stdout } = spawnSync(path, ["--version"], { encoding: "utf8" });
    const version = /etcd Version: (\S+)/.exec(stdout ?? "")?.[1];
    if (version !== undefined) return { path, version };
  }
  return undefined;
}
