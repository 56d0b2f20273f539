import { access, readFile } from "node:fs/promises";
import { UsageError } from "./errors.ts";

/** Whether a path exists. */
export async function exists(path: string): Promise<boolean> {
  try {
    await access(path);
    return true;
  } catch {
    return false;
  }
}

/**
 * The bytes of a file that the user named.
 *
 * @throws UsageError if it cannot be read.
 */
export async function readInput(path: string): Promise<Buffer> {
  return await readFile(path).catch((reason: unknown) => {
    throw unreadable(path, reason);
  });
}

/** Why a file that the user named cannot be read; throws any other error. */
export function unreadable(path: string, reason: unknown): unknown {
  switch ((reason as NodeJS.ErrnoException).code) {
    case "ENOENT":
      return new UsageError(`there is no file ${path}`);
    case "EISDIR":
      return new UsageError(`${path} is a directory, not a file`);
    case "EACCES":
    case "EPERM":
      return new UsageError(`${path} cannot be read: permission denied`);
    case "ERR_FS_FILE_TOO_LARGE":
      return new UsageError(`${path} is too large to be read`);
    default:
      return reason;
  }
}
