import { join } from "node:path";
import { exists } from "../files.ts";

/** Where a file of the schema stands in the project; the name that imports have for it where it stands elsewhere. */
export async function sourcePath(
  file: string,
  modules: readonly string[],
  project: string,
): Promise<string> {
  for (const module of modules) {
    const path = join(module, file);
    if (await exists(join(project, path))) return path;
  }
  return file;
}
