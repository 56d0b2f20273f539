import { randomBytes } from "node:crypto";
import { mkdir, rename, rm, writeFile } from "node:fs/promises";
import { dirname } from "node:path";

/** A file that is to be written. */
export interface FileChange {
  readonly path: string;
  /** What is there now; undefined for a new file. */
  readonly before: string | undefined;
  readonly after: string;
}

/** Writes the file as a whole or not at all, so that nobody ever reads half of it. */
export async function writeChange({ path, after }: FileChange): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  const temporary = `${path}.${randomBytes(4).toString("hex")}.tmp`;
  try {
    await writeFile(temporary, after, { flag: "wx" });
    await rename(temporary, path);
  } catch (reason) {
    await rm(temporary, { force: true });
    throw reason;
  }
}
