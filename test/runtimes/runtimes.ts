import { join } from "node:path";
import { npmPackage } from "../codec/npm-package.ts";

/** A program that runs TypeScript: its command with the arguments that come before a file. */
export interface Runtime {
  readonly name: string;
  readonly version: string;
  readonly command: readonly [program: string, ...args: string[]];
}

const conditions = "--conditions=@micro-es/source";

export const node: Runtime = {
  name: "Node",
  version: process.versions.node,
  command: [process.execPath, "--import", "tsx", conditions],
};

/** The versions that docs/runtimes.md speaks of. They come from npm, for Linux on x64. */
const bunVersion = "1.4.5";
const denoVersion = "2.9.6";

/** Whether there is a program of the other runtimes for this machine. */
export const available = process.platform === "linux" && process.arch === "x64";

export function otherRuntimes(): readonly Runtime[] {
  const bun = join(npmPackage("@oven/bun-linux-x64", bunVersion), "bin/bun");
  const deno = join(npmPackage("@deno/linux-x64-glibc", denoVersion), "deno");
  return [
    { name: "Bun", version: bunVersion, command: [bun, conditions] },
    {
      name: "Deno",
      version: denoVersion,
      command: [deno, "run", "--allow-all", "--quiet", conditions],
    },
  ];
}
