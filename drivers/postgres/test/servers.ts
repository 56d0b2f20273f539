import { spawnSync } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";

/** A PostgreSQL that tests can start. */
export interface PostgresProgram {
  /** The folder of its programs, such as initdb. */
  readonly path: string;
  readonly version: string;
}

/** Debian's folder, which has one for each version. */
const installed = "/usr/lib/postgresql";

/** The servers there are, the oldest first: `POSTGRES_SERVER` alone, or what the system has. */
export function postgresPrograms(): readonly PostgresProgram[] {
  const { POSTGRES_SERVER } = process.env;
  const paths = POSTGRES_SERVER === undefined ? systemFolders() : [POSTGRES_SERVER];
  return paths.flatMap((path) => {
    const { stdout } = spawnSync(join(path, "postgres"), ["--version"], { encoding: "utf8" });
    const version = /\(PostgreSQL\) (\S+)/.exec(stdout ?? "")?.[1];
    return version === undefined ? [] : [{ path, version }];
  });
}

/** The file of pgbouncer; undefined where it is not installed. */
export function poolerPath(): string | undefined {
  return ["/usr/sbin/pgbouncer", "/usr/bin/pgbouncer"].find((path) => existsSync(path));
}

function systemFolders(): readonly string[] {
  try {
    const versions = readdirSync(installed).map(Number).filter(Number.isFinite);
    return versions.sort((a, b) => a - b).map((version) => join(installed, `${version}`, "bin"));
  } catch {
    return [];
  }
}
