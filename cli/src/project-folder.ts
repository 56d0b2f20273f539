import { stat } from "node:fs/promises";
import { resolve } from "node:path";
import { UsageError } from "./errors.ts";

/**
 * The absolute path of a folder; the current one by default.
 *
 * @throws UsageError if it does not exist.
 */
export async function projectFolder(word = "."): Promise<string> {
  const folder = resolve(word);
  const found = await stat(folder).catch(() => undefined);
  if (found?.isDirectory() === true) return folder;
  throw new UsageError(`there is no folder ${folder}`);
}
