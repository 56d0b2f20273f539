import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { dirname, join } from "node:path";

/** The size of some packages with all dependencies, unpacked by npm. */
export interface Installed {
  readonly bytes: number;
  readonly packages: number;
}

/**
 * Measures packages with their dependencies and the peers that are not optional, as Node finds them
 * from `folder`.
 *
 * @param excluded packages that are not counted, nor their exclusive dependencies
 */
export function installed(
  names: readonly string[],
  folder: string,
  excluded: readonly string[] = [],
): Installed {
  const found = new Set<string>();
  const open = names.map((name) => ({ name, from: folder }));
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    if (excluded.includes(next.name)) continue;
    const at = find(next.name, next.from);
    if (at === undefined || found.has(at)) continue;
    found.add(at);
    for (const name of needs(at)) open.push({ name, from: at });
  }
  let bytes = 0;
  for (const at of found) bytes += size(at);
  return { bytes, packages: found.size };
}

function find(name: string, from: string): string | undefined {
  for (let folder = from; ; folder = dirname(folder)) {
    const at = join(folder, "node_modules", name);
    if (existsSync(join(at, "package.json"))) return at;
    if (folder === dirname(folder)) return undefined;
  }
}

function needs(at: string): readonly string[] {
  const manifest = JSON.parse(readFileSync(join(at, "package.json"), "utf8"));
  const { dependencies = {}, peerDependencies = {}, peerDependenciesMeta = {} } = manifest;
  const peers = Object.keys(peerDependencies).filter(
    (name) => peerDependenciesMeta[name]?.optional !== true,
  );
  return [...Object.keys(dependencies), ...peers];
}

/** Bytes of a package's files, without packages inside it. */
function size(folder: string): number {
  let bytes = 0;
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const at = join(folder, entry.name);
    if (entry.isDirectory()) bytes += entry.name === "node_modules" ? 0 : size(at);
    else bytes += statSync(at).size;
  }
  return bytes;
}
