import { spawnSync } from "node:child_process";

/** A Redis or Valkey that tests can start. */
export interface RedisProgram {
  readonly path: string;
  /** Such as `redis 7.0.15`. */
  readonly version: string;
}

/** The servers there are: that of `REDIS_SERVER`, or what the system has. */
export function redisPrograms(): readonly RedisProgram[] {
  const { REDIS_SERVER } = process.env;
  const paths = REDIS_SERVER === undefined ? ["redis-server"] : [REDIS_SERVER];
  return paths.flatMap((path) => {
    const { stdout } = spawnSync(path, ["--version"], { encoding: "utf8" });
    const [, name = "", version] = /^(\w+) server v=(\S+)/i.exec(stdout ?? "") ?? [];
    return version === undefined ? [] : [{ path, version: `${name.toLowerCase()} ${version}` }];
  });
}
