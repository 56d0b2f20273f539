import { spawnSync } from "node:child_process";

/** An NSD that tests can start. */
export interface NsdProgram {
  readonly path: string;
  readonly version: string;
}

/** The server that tests run against: `NSD_SERVER`, or what the system has. */
export function nsdProgram(): NsdProgram | undefined {
  const { NSD_SERVER } = process.env;
  // The PATH of users often lacks the folder that Debian installs it in.
  for (const path of NSD_SERVER === undefined ? ["nsd", "/usr/sbin/nsd"] : [NSD_SERVER]) {
    const { stdout, stderr } = spawnSync(path, ["-v"], { encoding: "utf8" });
    const version = /NSD version (\S+)/.exec(`${stdout}${stderr}`)?.[1];
    if (version !== undefined) return { path, version };
  }
  return undefined;
}
