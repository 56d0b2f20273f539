import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

/** An etcd that tests can start. */
export interface EtcdProgram {
  readonly path: string;
  readonly version: string;
}

/** The newer server, which test/setup builds where there is Go. */
const built = fileURLToPath(new URL("../../../.tools/etcd-3.6.16/etcd", import.meta.url));

/** The servers there are: `ETCD_SERVER` alone, or what the system has and what test/setup built. */
export function etcdPrograms(): readonly EtcdProgram[] {
  const { ETCD_SERVER } = process.env;
  const paths = ETCD_SERVER === undefined ? ["etcd", built] : [ETCD_SERVER];
  return paths
    .filter((path) => !path.includes("/") || existsSync(path))
    .flatMap((path) => {
      const { stdout } = spawnSync(path, ["--version"], { encoding: "utf8" });
      const version = /etcd Version: (\S+)/.exec(stdout ?? "")?.[1];
      return version === undefined ? [] : [{ path, version }];
    });
}
