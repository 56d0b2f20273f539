import { open, readFile, rename } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import { MicroError } from "../error.ts";

/** What stands beside the database in `micro-store.json`, to tell who has it open and whether it lost anything. */
export interface FileState {
  readonly format: 1;
  /** The process that opened the store last, for the error of another one. */
  readonly holder: { readonly pid: number; readonly host: string; readonly since: string };
  /** A version that was on the disk when this was written; finding less in the database is a loss. */
  readonly version: string;
  /** What was found damaged; the store stays shut until it is opened with `repair`. */
  readonly damage?: string;
}

const fileName = "micro-store.json";

/**
 * The state in a store's directory; undefined when there is none.
 * @throws MicroError `data_loss` when it cannot be understood, `failed_precondition` for a later format.
 */
export async function readState(path: string): Promise<FileState | undefined> {
  const file = join(path, fileName);
  let text: string;
  try {
    text = await readFile(file, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
  const state = parse(text);
  if (typeof state?.format === "number" && state.format > 1) {
    throw new MicroError(
      "failed_precondition",
      `cannot open the store ${path}: it has format ${state.format}, and this version reads format 1; upgrade @micro-es/runtime`,
    );
  }
  if (state?.format !== 1 || !/^\d+$/.test(state.version ?? "")) {
    throw new MicroError(
      "data_loss",
      `cannot open the store ${path}: ${file} is damaged; restore the directory from a backup, or open it with repair`,
    );
  }
  return state as FileState;
}

function parse(text: string): Partial<FileState> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? value : undefined;
  } catch {
    return undefined;
  }
}

/** Replaces the state, whole or not at all, and on the disk when it resolves. */
export async function writeState(path: string, version: bigint, damage?: string): Promise<void> {
  const state: FileState = {
    format: 1,
    holder: { pid: process.pid, host: hostname(), since: new Date().toISOString() },
    version: version.toString(),
    ...(damage === undefined ? {} : { damage }),
  };
  const file = join(path, fileName);
  const handle = await open(`${file}.new`, "w", 0o600);
  try {
    await handle.writeFile(`${JSON.stringify(state)}\n`);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(`${file}.new`, file);
  await syncDirectory(path);
}

/** Sees to it that the names in a directory are on the disk. */
export async function syncDirectory(path: string): Promise<void> {
  // Windows cannot open directories, and keeps names without being asked.
  if (process.platform === "win32") return;
  const handle = await open(path, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
