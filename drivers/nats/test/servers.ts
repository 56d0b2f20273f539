import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

/** A nats-server that tests can start. */
export interface NatsProgram {
  readonly path: string;
  readonly version: string;
}

/** The newer server, which test/setup builds where there is Go. */
const built = fileURLToPath(
  new URL("../../../.tools/nats-server-2.15.2/nats-server", import.meta.url),
);

/** The servers there are: `NATS_SERVER` alone, or what the system has and what test/setup built. */
export function natsPrograms(): readonly NatsProgram[] {
  const { NATS_SERVER } = process.env;
  const paths = NATS_SERVER === undefined ? ["nats-server", built] : [NATS_SERVER];
  return paths
    .filter((path) => !path.includes("/") || existsSync(path))
    .flatMap((path) => {
      const { stdout } = spawnSync(path, ["--version"], { encoding: "utf8" });
      const version = /v(\d[\w.-]*)/.exec(stdout ?? "")?.[1];
      return version === undefined ? [] : [{ path, version }];
    });
}
