import { cp, mkdir, mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join, relative, sep } from "node:path";
import { parse } from "yaml";
import { UsageError } from "../command.ts";
import { exists } from "../files.ts";

/** The folders of a project's buf.yaml that hold `.proto` files, relative to the project. */
export async function modulePaths(project: string): Promise<readonly string[]> {
  const text = await readFile(join(project, "buf.yaml"), "utf8").catch(() => "");
  const config = parse(text) as { readonly modules?: readonly { readonly path?: string }[] } | null;
  return (config?.modules ?? []).flatMap(({ path }) => path ?? []);
}

/**
 * Where the modules of a project's buf.yaml are, by the paths that it has for them. A package is looked for as Node does,
 * in the `node_modules` of folders above as well: there npm lays it in a workspace.
 *
 * @throws UsageError for a package that is nowhere.
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
    `${join(project, "buf.yaml")} names ${path}, which is neither in ${project} nor above it; \`npm install\` brings packages`,
  );
}

/**
 * Does something in a folder where buf finds every module of a project. That is the project itself, unless a package is in
 * a folder above: buf looks nowhere but below its buf.yaml, so that it is shown a copy of the schemas, with the package
 * where it is named.
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
