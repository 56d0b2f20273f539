import { createHash } from "node:crypto";
import type { Dirent } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import { basename, join } from "node:path";

const code = /\.([cm]?[jt]sx?|json|ya?ml|toml|html|css|wasm|node)$/;
const schema = /(\.proto|(^|\/)buf(\.gen|\.lock)?(\.yaml)?)$/;
const tests = /\.(test|spec)\.[cm]?[jt]sx?$/;
/** Folders that no service runs from, anywhere in the tree. */
const neverWatched = ["node_modules", "coverage", "test", "tests", "__tests__"];
/** Folders that a service runs from only if its command names them. */
const built = ["dist", "build", "out"];

/** Selects the files to watch. */
export interface WatchRule {
  /** Shell commands that run services; one that names `dist` has `dist` watched. */
  readonly commands: readonly string[];
}

export function isSchema(path: string): boolean {
  return schema.test(path);
}

export function isWatchedFolder(path: string, { commands }: WatchRule): boolean {
  const name = basename(path);
  if (name.startsWith(".") || neverWatched.includes(name)) return false;
  if (!built.includes(name)) return true;
  return commands.some((command) => new RegExp(`(^|[^\\w-])${name}/`).test(command));
}

export function isWatchedFile(path: string): boolean {
  const name = basename(path);
  if (name.startsWith(".")) return name.startsWith(".env");
  return (code.test(name) || schema.test(name)) && !tests.test(name);
}

/** All watched files below a folder. */
export async function watchedFiles(folder: string, rule: WatchRule): Promise<readonly string[]> {
  let entries: Dirent[];
  try {
    entries = await readdir(folder, { withFileTypes: true });
  } catch {
    // The folder was deleted meanwhile; its files are reported as deleted.
    return [];
  }
  const found = await Promise.all(
    entries.map((entry) => {
      const path = join(folder, entry.name);
      if (entry.isDirectory()) return isWatchedFolder(path, rule) ? watchedFiles(path, rule) : [];
      return isWatchedFile(path) ? [path] : [];
    }),
  );
  return found.flat();
}

/** A fingerprint of a file's content; undefined if it does not exist. */
export async function fingerprint(path: string): Promise<string | undefined> {
  try {
    return createHash("sha1")
      .update(await readFile(path))
      .digest("base64");
  } catch {
    return undefined;
  }
}
