import { cp, mkdir, mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join, relative, sep } from "node:path";
import { parse } from "yaml";
import { UsageError } from "../errors.ts";
import { exists } from "../files.ts";

/** Folders with `.proto` files in a project's buf.yaml, relative to the project. */
export async function modulePaths(project: string): Promise<readonly string[]> {
  const text = await readFile(join(project, "buf.yaml"), "utf8").catch(() => "");
  const config = parse(text) as { readonly modules?: readonly { readonly path?: string }[] } | null;
  return (config?.modules ?? []).flatMap(({ path }) => path ?? []);
}

/**
 * Locations of the modules in a project's buf.yaml, by their paths there. Packages are resolved as
 * Node does, in the `node_modules` of parent folders too, where npm puts them in a workspace.
 *
 * @throws UsageError for a package that does not exist.
 */
export async function modulePlaces(project: string): Promise<ReadonlyMap<string, string>> {
  const places = new Map<string, string>();
  for (const path of await modulePaths(project)) places.set(path, await findModule(project, path));
  return places;
}

async function findModule(project: string, path: string): Promise<string> {
  const ofPackage = path.split(/[/\\]/)[0] === "node_modules";
  for (let folder = project; ; folder = dirname(folder)) {
    const place = join(folder, path);
    if (!ofPackage || (await exists(place))) return place;
    if (folder === dirname(folder)) break;
  }
  throw new UsageError(
    `${join(project, "buf.yaml")} names ${path}, which is neither in ${project} nor above it; run \`npm install\``,
  );
}

/**
 * Runs a function in a folder in which buf finds every module of a project. This is the project
 * itself, unless a package is in a parent folder: buf only searches below its buf.yaml, so it gets
 * a copy of the schemas with the package at the expected path.
 */
export async function withModules<T>(
  project: string,
  use: (folder: string) => Promise<T>,
): Promise<T> {
  const places = [...(await modulePlaces(project))];
  if (places.every(([path, place]) => place === join(project, path))) return use(project);
  const copy = await mkdtemp(join(tmpdir(), "micro-schemas-"));
  try {
    const names = await readdir(project);
    for (const name of names.filter((it) => /^buf\.(.*\.)?(yaml|lock)$/.test(it))) {
      await cp(join(project, name), join(copy, name));
    }
    for (const [path, place] of places) {
      await mkdir(dirname(join(copy, path)), { recursive: true });
      await cp(place, join(copy, path), {
        recursive: true,
        dereference: true,
        filter: (file) => !relative(place, file).split(sep).includes("node_modules"),
      });
    }
    return await use(copy);
  } finally {
    await rm(copy, { recursive: true, force: true });
  }
}
