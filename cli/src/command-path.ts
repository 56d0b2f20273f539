import { delimiter, dirname, join } from "node:path";

/**
 * Where commands such as buf and protoc plugins are looked for: in the `node_modules/.bin` of this folder and of those
 * above it, as npm scripts do, and then in `PATH`.
 */
export function commandPath(environment: Readonly<Record<string, string | undefined>>): string {
  const folders: string[] = [];
  for (let folder = process.cwd(); ; folder = dirname(folder)) {
    folders.push(join(folder, "node_modules", ".bin"));
    if (dirname(folder) === folder) break;
  }
  return [...folders, environment.PATH ?? ""].join(delimiter);
}
