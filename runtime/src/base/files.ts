import { randomBytes } from "node:crypto";
import { constants, type FileHandle, lstat, mkdir, open, rename, unlink } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { MicroError } from "./error.ts";
import { checkOptions, count, flag, type OptionKindsOf } from "./option-check.ts";

/*
 * How the runtime writes files. A predictable name in a folder that others can write to may be a
 * link to one of the user's files by the time it is opened. So a file is created under a random
 * name, exclusively and without following links, and then renamed.
 */

export interface FileOptions {
  /**
   * Permissions of the file, before the umask. Default 0600: only its owner reads and writes it.
   */
  readonly mode?: number;
  /**
   * Whether the file is on disk, and not only in the operating system's cache, when the promise
   * resolves. Default false.
   */
  readonly durable?: boolean;
}

const kinds: OptionKindsOf<FileOptions> = { mode: count, durable: flag };

// Windows has neither unprivileged links nor the flag.
const noFollow = constants.O_NOFOLLOW ?? 0;

/**
 * Creates a file. Fails with `EEXIST` if anything of that name exists, including a dangling link.
 */
export async function createFile(
  path: string,
  content: string | Uint8Array,
  options: FileOptions = {},
): Promise<void> {
  checkOptions("createFile", options, kinds);
  const { mode = 0o600, durable = false } = options;
  const { O_WRONLY, O_CREAT, O_EXCL } = constants;
  const handle = await open(path, O_WRONLY | O_CREAT | O_EXCL | noFollow, mode);
  try {
    await handle.writeFile(content);
    if (durable) await handle.sync();
  } catch (error) {
    await unlink(path);
    throw error;
  } finally {
    await handle.close();
  }
}

/**
 * Replaces a file atomically: a concurrent reader sees either the old or the new content. A link of
 * that name is replaced, and its target stays as it is.
 */
export async function replaceFile(
  path: string,
  content: string | Uint8Array,
  options: FileOptions = {},
): Promise<void> {
  checkOptions("replaceFile", options, kinds);
  const temporary = temporaryName(path);
  await createFile(temporary, content, options);
  try {
    await rename(temporary, path);
  } catch (error) {
    await unlink(temporary);
    throw error;
  }
  if (options.durable === true) await syncDirectory(dirname(path));
}

/** An unpredictable name next to a file. */
export function temporaryName(path: string): string {
  return join(dirname(path), `.${basename(path)}.${randomBytes(8).toString("hex")}.new`);
}

/**
 * Reads a file that {@link replaceFile} wrote and whose content is trusted. Undefined if there is
 * none.
 *
 * @throws MicroError `permission_denied` when others may have written it: it is a link, belongs to
 * another user, or is writable by others.
 */
export async function readOwnFile(path: string): Promise<string | undefined> {
  let handle: FileHandle;
  try {
    handle = await open(path, constants.O_RDONLY | noFollow);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT") return undefined;
    if (code === "ELOOP" || code === "EMLINK") throw notOwn(path, "it is a symbolic link");
    throw error;
  }
  try {
    const why = othersAccess(await handle.stat());
    if (why !== undefined) throw notOwn(path, why);
    return await handle.readFile("utf8");
  } finally {
    await handle.close();
  }
}

/**
 * Creates a directory for its owner only, including its parents, unless it exists.
 *
 * @throws MicroError `permission_denied` when others can write to an existing one: it is a link,
 * belongs to another user, or is writable by others.
 */
export async function makeOwnDirectory(path: string): Promise<void> {
  if ((await mkdir(path, { recursive: true, mode: 0o700 })) !== undefined) return;
  const why = await notOwnBecause(path);
  if (why !== undefined) throw notOwn(path, why);
}

/**
 * The reason why others can change, or may have changed, the file at a path; undefined if they
 * cannot.
 */
export async function notOwnBecause(path: string): Promise<string | undefined> {
  const found = await lstat(path);
  return found.isSymbolicLink() ? "it is a symbolic link" : othersAccess(found);
}

function othersAccess({ uid, mode }: { uid: number; mode: number }): string | undefined {
  const user = process.getuid?.();
  if (user === undefined) return undefined;
  if (uid !== user && uid !== 0) {
    return `it belongs to user ${uid}, and this process runs as user ${user}`;
  }
  return (mode & 0o022) === 0 ? undefined : "others can write to it";
}

function notOwn(path: string, why: string): MicroError {
  return new MicroError("permission_denied", `${path} is not trusted: ${why}`);
}

/** Flushes the names in a directory to disk. */
export async function syncDirectory(path: string): Promise<void> {
  // Windows cannot open directories, and persists names by itself.
  if (process.platform === "win32") return;
  const handle = await open(path, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
