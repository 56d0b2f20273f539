import { stat } from "node:fs/promises";
import { resolve } from "node:path";
import { UsageError } from "./command.ts";

/** The absolute path of the folder that a word names; of the current one for no word. @throws UsageError for none. */
export async function projectFolder(word = "."): Promise<string> {
  const folder = resolve(word);
  const found = await stat(folder).catch(() => undefined);
  if (found?.isDirectory() === true) return folder;
  throw new UsageError(`there is no folder ${folder}`);
}
