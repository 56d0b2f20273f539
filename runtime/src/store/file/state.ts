import { readFile } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import { MicroError } from "../../base/error.ts";
import { replaceFile } from "../../base/files.ts";

/**
 * The contents of `micro-store.json` next to the database, which records the process that has it
 * open and whether data was lost.
 */
export interface FileState {
  readonly format: 1;
  /** The process that opened the store last, for another process's error. */
  readonly holder: { readonly pid: number; readonly host: string; readonly since: string };
  /**
   * A version that was on disk when this was written; a lower version in the database is a loss.
   */
  readonly version: string;
  /** The damage found; the store stays closed until it is opened with `repair`. */
  readonly damage?: string;
}

const fileName = "micro-store.json";

/**
 * The state in a store's directory; undefined if there is none.
 * @throws MicroError `data_loss` when it cannot be parsed, `failed_precondition` for a later
 * format.
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

/** Replaces the state atomically; it is on disk when the promise resolves. */
export async function writeState(path: string, version: bigint, damage?: string): Promise<void> {
  const state: FileState = {
    format: 1,
    holder: { pid: process.pid, host: hostname(), since: new Date().toISOString() },
    version: version.toString(),
    ...(damage === undefined ? {} : { damage }),
  };
  await replaceFile(join(path, fileName), `${JSON.stringify(state)}\n`, { durable: true });
}
