import { delimiter, dirname, join } from "node:path";

/**
 * Where commands such as buf and protoc plugins are searched: in the `node_modules/.bin` of a
 * folder and its parents, like npm scripts, and then in `PATH`.
 */
export function commandPath(
  environment: Readonly<Record<string, string | undefined>>,
  from: string = process.cwd(),
): string {
  const folders: string[] = [];
  for (let folder = from; ; folder = dirname(folder)) {
    folders.push(join(folder, "node_modules", ".bin"));
    if (dirname(folder) === folder) break;
  }
  return [...folders, environment.PATH ?? ""].join(delimiter);
}
