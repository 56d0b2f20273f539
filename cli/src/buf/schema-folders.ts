import { join } from "node:path";
import { UsageError } from "../errors.ts";
import { exists } from "../files.ts";
import type { PackageFile } from "../run/package-file.ts";
import { type Members, workspaceAround } from "../run/workspace.ts";

/**
 * Folders whose buf.gen.yaml generates a project's code: its own, or else those of its workspace.
 * For the root of a workspace these are all of them, for a package those of its dependencies and of
 * the root.
 *
 * @throws UsageError if there is none.
 */
export async function schemaFolders(project: string): Promise<readonly string[]> {
  const has = (folder: string) => exists(join(folder, "buf.gen.yaml"));
  if (await has(project)) return [project];
  const around = await workspaceAround(project);
  const candidates = around === undefined ? [] : schemaPackages(project, around);
  const found: string[] = [];
  for (const { folder } of candidates) if (await has(folder)) found.push(folder);
  if (found.length > 0) return found;
  const file = join(project, "buf.gen.yaml");
  throw new UsageError(
    around === undefined
      ? `there is no ${file}; run this in its folder`
      : `there is no ${file}, and none in the workspace packages that the project depends on`,
  );
}

function schemaPackages(project: string, { root, members }: Members): readonly PackageFile[] {
  if (root.folder === project) return members;
  const byName = new Map(members.map((it) => [it.name, it]));
  const found = new Set<PackageFile>();
  const visit = ({ dependencies }: PackageFile): void => {
    for (const needed of dependencies.flatMap((name) => byName.get(name) ?? [])) {
      if (found.has(needed)) continue;
      found.add(needed);
      visit(needed);
    }
  };
  const own = members.find(({ folder }) => folder === project);
  if (own !== undefined) visit(own);
  return [...found, root];
}
