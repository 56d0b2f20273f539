import { chmod, readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { MicroError } from "../../base/error.ts";
import { notOwnBecause } from "../../base/files.ts";

/*
 * LevelDB creates its files with mode 0644, also long after it was opened, and this cannot be
 * configured. So the permissions of the store's directory keep others out.
 */

/** Names of LevelDB's files and of ours. */
const ownNames =
  /^(?:CURRENT|LOCK|LOG(?:\.old)?|MANIFEST-\d+|\d+\.(?:log|ldb|sst|dbtmp)|lost|\.?micro-store\..*)$/;

/**
 * Checks that no other user has access to a store's directory, or that their access can be removed.
 *
 * @throws MicroError `failed_precondition` when others can read the directory, and it belongs to
 * another user or also holds something else.
 */
export async function requireClosable(path: string): Promise<void> {
  const open = await openDirectory(path);
  if (open === undefined) return;
  const user = process.getuid?.();
  if (user !== open.uid) {
    throw refusal(path, `it belongs to user ${open.uid}, and this process runs as user ${user}`);
  }
  const names = await readdir(path);
  const other = names.find((name) => !ownNames.test(name));
  if (other !== undefined) throw refusal(path, `it holds ${other} as well`);
  if (names.length === 0) await chmod(path, 0o700);
  for (const name of names) {
    const why = await notOwnBecause(join(path, name));
    if (why !== undefined) throw refusal(path, `${name} in it is not the store's: ${why}`);
  }
}

/** Removes other users' access to a store's directory and the files in it. */
export async function closeToOthers(path: string): Promise<void> {
  if ((await openDirectory(path)) === undefined) return;
  await chmod(path, 0o700);
  for (const name of await readdir(path)) {
    const file = join(path, name);
    // LevelDB may remove a file at any time.
    await chmod(file, name === "lost" ? 0o700 : 0o600).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== "ENOENT") throw error;
    });
  }
}

/** The directory, if other users have access to it. */
async function openDirectory(path: string): Promise<{ readonly uid: number } | undefined> {
  if (process.platform === "win32") return undefined;
  const { mode, uid } = await stat(path);
  return (mode & 0o077) === 0 ? undefined : { uid };
}

function refusal(path: string, why: string): MicroError {
  return new MicroError(
    "failed_precondition",
    `cannot open the store ${path}: other users can read the directory, and ${why}; choose a directory for the store alone, such as a new one in it, or close this one: chmod 700 ${path}`,
    { outcome: "not-executed" },
  );
}
