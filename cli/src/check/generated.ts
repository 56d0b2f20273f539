import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parse } from "yaml";
import { runBuf } from "../buf/run-buf.ts";
import { UsageError } from "../errors.ts";

/** How a generated file differs from what would be generated now. */
export interface Drift {
  readonly file: string;
  readonly problem: "out of date" | "missing" | "left over";
}

/**
 * Generates into a temporary folder and compares the result with the existing files; writes nothing
 * into the project.
 */
export async function generatedDrift(project: string): Promise<readonly Drift[]> {
  const outputs = await outputFolders(project);
  const scratch = await mkdtemp(join(tmpdir(), "micro-check-"));
  try {
    await runBuf(["generate", "--output", scratch], project);
    const drift: Drift[] = [];
    for (const folder of outputs) {
      const [wanted, found] = await Promise.all([
        filesBelow(join(scratch, folder)),
        filesBelow(join(project, folder)),
      ]);
      for (const name of wanted) {
        const file = join(folder, name);
        const now = await readIfThere(join(project, file));
        if (now === undefined) drift.push({ file, problem: "missing" });
        else if (now !== (await readIfThere(join(scratch, file))))
          drift.push({ file, problem: "out of date" });
      }
      for (const name of found.filter((it) => !wanted.includes(it))) {
        const file = join(folder, name);
        // Hand-written files are ignored.
        if ((await readIfThere(join(project, file)))?.includes("@generated ") === true) {
          drift.push({ file, problem: "left over" });
        }
      }
    }
    return drift;
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

/** Output folders in `buf.gen.yaml`. */
export async function outputFolders(project: string): Promise<readonly string[]> {
  const file = join(project, "buf.gen.yaml");
  const text = await readIfThere(file);
  if (text === undefined) throw new UsageError(`there is no ${file}; run this in its folder`);
  const template = parse(text) as {
    readonly plugins?: readonly { readonly out?: string }[];
  } | null;
  const folders = (template?.plugins ?? []).flatMap(({ out }) => out ?? []);
  if (folders.length === 0) throw new UsageError(`${file} names no plugin with an \`out\``);
  return [...new Set(folders)];
}

/** Files below a folder, relative to it and sorted; empty if the folder does not exist. */
export async function filesBelow(folder: string): Promise<readonly string[]> {
  try {
    const entries = await readdir(folder, { recursive: true, withFileTypes: true });
    return entries
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1))
      .sort();
  } catch (reason) {
    if ((reason as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw reason;
  }
}

/** The text of a file; undefined if it does not exist. */
export async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, "utf8");
  } catch (reason) {
    if ((reason as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw reason;
  }
}
