import { access, readFile } from "node:fs/promises";
import { join } from "node:path";
import { parse } from "yaml";

/** The folders of a project's buf.yaml that hold `.proto` files. */
export async function modulePaths(project: string): Promise<readonly string[]> {
  const text = await readFile(join(project, "buf.yaml"), "utf8").catch(() => "");
  const config = parse(text) as { readonly modules?: readonly { readonly path?: string }[] } | null;
  return (config?.modules ?? []).flatMap(({ path }) => path ?? []);
}

/** Where a file of the schema stands in the project; the name that imports have for it where it stands elsewhere. */
export async function sourcePath(
  file: string,
  modules: readonly string[],
  project: string,
): Promise<string> {
  for (const module of modules) {
    const path = join(module, file);
    const found = await access(join(project, path)).then(
      () => true,
      () => false,
    );
    if (found) return path;
  }
  return file;
}
