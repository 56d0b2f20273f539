import { sep } from "node:path";
import { workspaceAround } from "../run/workspace.ts";
import type { AskedPackage, ImportScope } from "./ask-typescript.ts";
import { type ProjectFile, projectFiles } from "./project-files.ts";

/**
 * Where handlers of a project may be: in the project itself, and in the other packages of its
 * workspace.
 */
export interface SearchScope extends ImportScope {
  readonly asked: readonly AskedPackage[];
}

/**
 * Reads the sources of a project and of its workspace.
 *
 * @throws UsageError for an invalid package.json or pnpm-workspace.yaml.
 */
export async function openSearchScope(project: string): Promise<SearchScope> {
  const around = await workspaceAround(project);
  const packages = around === undefined ? [] : [around.root, ...around.members];
  const folders = around === undefined ? [project] : packages.map(({ folder }) => folder);
  const files = new Map<string, ProjectFile>();
  for (const folder of outermost(folders)) {
    for (const file of await projectFiles(folder)) files.set(file.path, file);
  }
  const byFolder = new Map<string, ProjectFile[]>(folders.map((folder) => [folder, []]));
  for (const file of files.values()) {
    const owner = folders
      .filter((folder) => isBelow(file.path, folder))
      .reduce((best, folder) => (folder.length > best.length ? folder : best), "");
    byFolder.get(owner)?.push(file);
  }
  return {
    root: around?.root.folder ?? project,
    packages: new Map(packages.map(({ name, folder }) => [name, folder])),
    asked: Array.from(byFolder, ([folder, own]) => ({ folder, files: own })),
  };
}

function outermost(folders: readonly string[]): readonly string[] {
  return folders.filter((it) => !folders.some((other) => isBelow(it, other)));
}

/** Whether a path is inside a folder. */
export function isBelow(path: string, folder: string): boolean {
  return path.startsWith(folder + sep);
}
