import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

const known = new Map<string, string>();

/**
 * The path of a .proto from the working directory. Names in a schema begin at the root of its
 * module, which is usually a folder of the project. Returns the name itself if that folder is not
 * found.
 */
export function sourceFile(name: string, folder = "."): string {
  const key = `${folder}\n${name}`;
  let path = known.get(key);
  if (path === undefined) {
    path = find(name, folder);
    known.set(key, path);
  }
  return path;
}

function find(name: string, folder: string): string {
  const isThere = (root: string) => existsSync(join(folder, root, name));
  if (isThere(".")) return name;
  const root = modules(folder).find(isThere);
  if (root !== undefined) return join(root, name);
  const found = folders(folder).filter(isThere);
  // Several matches are ambiguous.
  return found.length === 1 ? join(found[0]!, name) : name;
}

/** The module roots in buf.yaml, or in the buf.work.yaml of version 1. */
function modules(folder: string): string[] {
  return ["buf.yaml", "buf.work.yaml"].flatMap((file) => {
    const path = join(folder, file);
    if (!existsSync(path)) return [];
    const lines = readFileSync(path, "utf8").matchAll(
      /^\s*(?:-\s+)?(?:path:|-)\s+(\S+)\s*(?:#.*)?$/gm,
    );
    return [...lines].map(([, value = ""]) => value.replace(/^(["'])(.*)\1$/, "$2"));
  });
}

function folders(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true })
    .filter((it) => it.isDirectory() && it.name !== "node_modules" && !it.name.startsWith("."))
    .map((it) => it.name);
}
