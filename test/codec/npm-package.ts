import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";

/** Where tools are kept that tests need and the repository does not hold. */
export const tools: string = join(import.meta.dirname, "../../.tools");

/**
 * The folder of an npm package that is a tool and no dependency. It is fetched once and kept;
 * nothing of it is installed or run.
 */
export function npmPackage(name: string, version: string): string {
  const folder = join(tools, `${name.replaceAll("/", "+")}-${version}`);
  if (existsSync(folder)) return folder;
  mkdirSync(tools, { recursive: true });
  const scratch = mkdtempSync(join(tools, "fetch-"));
  try {
    execFileSync("npm", ["pack", "--silent", `${name}@${version}`], {
      cwd: scratch,
      stdio: ["ignore", "ignore", "inherit"],
    });
    const [archive] = readdirSync(scratch);
    if (archive === undefined) throw new Error(`npm pack wrote no file for ${name}@${version}`);
    execFileSync("tar", ["xzf", archive], { cwd: scratch });
    renameSync(join(scratch, "package"), folder);
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
  return folder;
}
