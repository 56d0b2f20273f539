import { join } from "node:path";
import { exists } from "../files.ts";

/** The path of a schema file in the project; its import name if it is outside. */
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
