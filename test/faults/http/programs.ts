import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { bundleProgram } from "../../support/bundle.ts";

const bundles = new Map<string, Promise<string>>();
let folder: string | undefined;

/**
 * The command that runs a program of this folder. The program is bundled first, because compiling
 * it at start-up would take processor time from the measured programs.
 *
 * @param program its path in this folder
 */
export async function programCommand(program: string): Promise<readonly string[]> {
  let bundle = bundles.get(program);
  if (bundle === undefined) {
    bundle = made(program);
    bundles.set(program, bundle);
  }
  return [process.execPath, await bundle];
}

async function made(program: string): Promise<string> {
  if (folder === undefined) {
    const own = mkdtempSync(join(tmpdir(), "micro-es-programs-"));
    process.once("exit", () => rmSync(own, { recursive: true, force: true }));
    folder = own;
  }
  const outfile = join(folder, `${basename(program, ".ts")}.mjs`);
  await bundleProgram(join(import.meta.dirname, program), outfile);
  return outfile;
}
