import { asMicroError, MicroError } from "@micro-es/runtime";
import { type Acl, create, getChildren, getData, type Stat } from "../wire/operations.ts";
import type { ZooKeeperLink } from "./link.ts";

/** A znode with its data. */
export interface Znode {
  readonly path: string;
  readonly data: Uint8Array;
  readonly stat: Stat;
}

/** Which znodes belong to a tree. */
export interface TreeShape {
  /** Without a slash at its end. */
  readonly root: string;
  /** How far below the root: 0 for the root alone. */
  readonly depth: number;
  /** The most znodes that are read; of more, some are missing. */
  readonly most: number;
}

/** How many znodes are read at a time. */
const atOnce = 128;
/** What all znodes of a tree may have together, in bytes. */
const maxTreeBytes = 64 * 1024 * 1024;

/** Whether a path belongs to the tree. */
export function isWithin({ root, depth }: TreeShape, path: string): boolean {
  if (path === root) return true;
  if (!path.startsWith(`${root}/`)) return false;
  return path.slice(root.length).split("/").length - 1 <= depth;
}

/** Reads the znodes of a tree. @throws MicroError as {@link ZooKeeperLink.call}. */
export async function readTree(
  link: ZooKeeperLink,
  { root, depth, most }: TreeShape,
  what: string,
  signal?: AbortSignal,
): Promise<readonly Znode[]> {
  const found: Znode[] = [];
  let bytes = 0;
  let level: readonly string[] = [root];
  for (let below = 0; level.length > 0; below++) {
    const left = Math.max(0, most - found.length);
    const znodes = await readZnodes(link, level.slice(0, left), what, signal, (size) => {
      bytes += size;
      if (bytes <= maxTreeBytes) return;
      throw new MicroError(
        "resource_exhausted",
        `cannot ${what}: ${root} has more than ${maxTreeBytes} bytes`,
        { outcome: "not-executed" },
      );
    });
    const present = znodes.filter((znode) => znode !== undefined);
    for (const znode of present) found.push(znode);
    if (below >= depth) break;
    const parents = present.filter(({ stat }) => stat.numChildren > 0);
    level = await childrenOf(link, parents, what, signal);
  }
  return found;
}

/** Reads znodes; undefined for those that do not exist. */
export async function readZnodes(
  link: ZooKeeperLink,
  paths: readonly string[],
  what: string,
  signal?: AbortSignal,
  onBytes: (count: number) => void = () => {},
): Promise<readonly (Znode | undefined)[]> {
  const read = async (path: string): Promise<Znode | undefined> => {
    const found = await orAbsent(link.call(getData(path), what, signal));
    if (found === undefined) return undefined;
    onBytes(found.data.length);
    return { path, ...found };
  };
  return inBatches(paths, read);
}

/** Creates a persistent znode without data, and those above it, unless they exist. */
export async function ensurePath(
  link: ZooKeeperLink,
  path: string,
  acl: readonly Acl[],
  what: string,
  signal?: AbortSignal,
): Promise<void> {
  for (let end = path.indexOf("/", 1); ; end = path.indexOf("/", end + 1)) {
    const part = end < 0 ? path : path.slice(0, end);
    const creating = link.call(create({ path: part, data: new Uint8Array(), acl }), what, signal);
    await creating.catch(async (error: unknown) => {
      const { code } = asMicroError(error);
      if (code === "already_exists") return;
      // A process that may not create it may still create the znodes below it.
      if (code !== "permission_denied" || end < 0) throw error;
    });
    if (end < 0) return;
  }
}

/** The value; undefined if the znode does not exist. */
export async function orAbsent<T>(reading: Promise<T>): Promise<T | undefined> {
  try {
    return await reading;
  } catch (error) {
    if (asMicroError(error).code === "not_found") return undefined;
    throw error;
  }
}

async function childrenOf(
  link: ZooKeeperLink,
  parents: readonly Znode[],
  what: string,
  signal: AbortSignal | undefined,
): Promise<readonly string[]> {
  const lists = await inBatches(parents, async ({ path }) => {
    const found = await orAbsent(link.call(getChildren(path), what, signal));
    return (found?.children ?? []).map((name) => `${path === "/" ? "" : path}/${name}`);
  });
  return lists.flat();
}

async function inBatches<T, R>(
  values: readonly T[],
  work: (value: T) => Promise<R>,
): Promise<readonly R[]> {
  const results: R[] = [];
  for (let from = 0; from < values.length; from += atOnce) {
    results.push(...(await Promise.all(values.slice(from, from + atOnce).map(work))));
  }
  return results;
}
