import { mkdir, stat } from "node:fs/promises";
import { dirname } from "node:path";

/** A file to write. */
export interface FileChange {
  readonly path: string;
  /** The current content; undefined for a new file. */
  readonly before: string | undefined;
  readonly after: string;
}

/**
 * Writes a file of a project atomically, so that it is never read incomplete. It keeps its
 * permissions; a new one has those of the user's umask.
 */
export async function writeChange({ path, after }: FileChange): Promise<void> {
  // Loaded only for writing.
  const { replaceFile } = await import("@micro-es/runtime/files");
  await mkdir(dirname(path), { recursive: true });
  const mode = await stat(path).then(
    (found) => found.mode & 0o777,
    () => 0o666,
  );
  await replaceFile(path, after, { mode });
}
