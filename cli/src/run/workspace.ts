import { access } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { glob } from "tinyglobby";
import { UsageError } from "../errors.ts";
import { type PackageFile, readPackageFile, unscoped } from "./package-file.ts";

/** A package that is a service or a library of services. */
export interface RunPackage extends PackageFile {
  /** Display name: the package's name without its scope if that is unique. */
  readonly label: string;
}

/** The workspace of `micro run`. */
export interface Workspace {
  /** All known packages: those of the workspace, or the given folders. */
  readonly packages: readonly RunPackage[];
  /** The packages that are run. */
  readonly services: readonly RunPackage[];
  /** Folders with a buf.gen.yaml that the services use. */
  readonly generators: readonly string[];
}

/**
 * Finds the services to run. A folder is a service or a workspace; the default is the current one.
 * The root of a workspace itself counts only with `micro.run`, because its `start` script runs the
 * others.
 *
 * @throws UsageError if there is nothing to run, or a package.json is invalid.
 */
export async function findWorkspace(
  folders: readonly string[],
  current: string,
): Promise<Workspace> {
  const packages = new Map<string, PackageFile>();
  const chosen = new Map<string, PackageFile>();
  const roots = new Set<string>();
  for (const given of folders.length === 0 ? ["."] : folders) {
    const folder = resolve(current, given);
    const found = await readPackageFile(folder);
    if (found === undefined) {
      throw new UsageError(
        `there is no package.json in ${folder}; \`micro new\` creates a project`,
      );
    }
    const around = await workspaceOf(found);
    const isRoot = around?.root.folder === folder;
    if (around !== undefined) roots.add(around.root.folder);
    for (const it of [found, ...(around?.members ?? [])]) packages.set(it.folder, it);
    const services = isRoot ? [...around.members, ...(found.declared ? [found] : [])] : [found];
    const runnable = services.filter(({ command }) => command !== undefined);
    if (runnable.length === 0)
      throw new UsageError(nothingToRun(found, isRoot ? around.members : undefined));
    for (const service of runnable) chosen.set(service.folder, service);
  }
  const labelled = withLabels([...packages.values()]);
  const services = labelled.filter(({ folder }) => chosen.has(folder));
  return { packages: labelled, services, generators: await generatorsOf(labelled, roots) };
}

function nothingToRun(
  { name, folder }: PackageFile,
  members: readonly PackageFile[] | undefined,
): string {
  const how = 'needs a "start" script, or "micro": { "run": "…" } in its package.json';
  if (members === undefined) return `${name} in ${folder} is not a service: it ${how}`;
  const names = members.map((it) => it.name).join(", ") || "none";
  return `no package of the workspace in ${folder} is a service, which ${how}; its packages: ${names}`;
}

/** The root of a workspace and its packages. */
export interface Members {
  readonly root: PackageFile;
  readonly members: readonly PackageFile[];
}

/**
 * The workspace of which a folder is the root or a package; undefined if there is none.
 *
 * @throws UsageError for an invalid package.json or pnpm-workspace.yaml.
 */
export async function workspaceAround(folder: string): Promise<Members | undefined> {
  const found = await readPackageFile(folder);
  return found === undefined ? undefined : workspaceOf(found);
}

/** The workspace of which a package is the root or a member, if any. */
async function workspaceOf(it: PackageFile): Promise<Members | undefined> {
  if (it.workspaces.length > 0) return { root: it, members: await membersOf(it) };
  for (let above = dirname(it.folder); above !== dirname(above); above = dirname(above)) {
    const root = await readPackageFile(above);
    const members = root === undefined ? [] : await membersOf(root);
    if (root && members.some(({ folder }) => folder === it.folder)) return { root, members };
  }
  return undefined;
}

async function membersOf({ folder, workspaces }: PackageFile): Promise<readonly PackageFile[]> {
  if (workspaces.length === 0) return [];
  const files = await glob(
    workspaces.map((pattern) => `${pattern.replace(/\/+$/, "")}/package.json`),
    { cwd: folder, ignore: ["**/node_modules/**"], absolute: true, expandDirectories: false },
  );
  const folders = files.map(dirname).filter((it) => resolve(it) !== resolve(folder));
  const members = await Promise.all(folders.sort().map(readPackageFile));
  return members.filter((it) => it !== undefined);
}

/** Folders whose generated code services may use: those of the packages, and of their roots. */
async function generatorsOf(
  packages: readonly PackageFile[],
  roots: ReadonlySet<string>,
): Promise<readonly string[]> {
  const folders = [...new Set([...roots, ...packages.map(({ folder }) => folder)])];
  const has = await Promise.all(
    folders.map((folder) =>
      access(join(folder, "buf.gen.yaml")).then(
        () => true,
        () => false,
      ),
    ),
  );
  return folders.filter((_, index) => has[index]);
}

/** Names without their scopes, or folders if names collide. */
function withLabels(packages: readonly PackageFile[]): readonly RunPackage[] {
  const short = ({ name }: PackageFile) => unscoped(name);
  const isUnique = (of: (it: PackageFile) => string, wanted: string) =>
    packages.filter((it) => of(it) === wanted).length === 1;
  return packages.map((it) => {
    if (isUnique(short, short(it))) return { ...it, label: short(it) };
    if (isUnique(({ name }) => name, it.name)) return { ...it, label: it.name };
    return { ...it, label: `${it.name} (${basename(dirname(it.folder))}/${basename(it.folder)})` };
  });
}
