import type { BigIntStats } from "node:fs";
import { open, stat } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { throwIfAborted } from "../../base/abort.ts";
import { asMicroError, MicroError } from "../../base/error.ts";

/** The largest config file, in bytes. */
const maxBytes = 1024 * 1024;
/** How long a file must be unchanged to count as completely written. */
const settleMs = 50;
/** How long a missing, empty or malformed file is assumed to be in the middle of a write. */
const patienceMs = 500;
/** How long to wait for a file that never stops changing. */
const longestMs = 5000;
const lookEveryMs = 20;

/** Options for reading a file once it is stable. */
export interface ReadOptions<T> {
  readonly parse: (content: string) => Promise<T>;
  /** Whether to wait briefly for a missing file, as between its deletion and its rewrite. */
  readonly waitForMissing: boolean;
  /** The mark of a file state that does not need to be read again. */
  readonly known?: string | undefined;
  readonly signal: AbortSignal | undefined;
}

/** A stable file: its parsed text, or the reason why it could not be parsed. */
export type Settled<T> = { readonly mark: string } & (
  | { readonly content: string; readonly value: T }
  | { readonly problem: MicroError }
);

/**
 * Reads a file that others may write at the same time: in place and in parts, by deleting and
 * rewriting it, or by renaming. The file is read once it has been unchanged for a moment and does
 * not change meanwhile; one that is empty or cannot be parsed gets time to become complete.
 *
 * Returns undefined if the file still has the known mark. The problem is `not_found`,
 * `resource_exhausted` for a file that is too large, `permission_denied`, `unavailable`, or what
 * `parse` throws.
 *
 * @throws MicroError `canceled` when the signal fires.
 */
export async function readSettled<T>(
  path: string,
  options: ReadOptions<T>,
): Promise<Settled<T> | undefined> {
  const { parse, waitForMissing, signal } = options;
  const started = performance.now();
  let seen: string | undefined;
  let since = started;
  for (;;) {
    const now = performance.now();
    const before = await look(path);
    const mark = fingerprint(before);
    if (mark === options.known) return undefined;
    if (mark !== seen) {
      seen = mark;
      since = now;
    }
    const rested = Math.max(now - since, before === undefined ? 0 : Date.now() - changedAt(before));
    const impatient = now - started >= longestMs;
    if (before === undefined) {
      if (!waitForMissing || rested >= patienceMs || impatient) {
        return { mark, problem: missing(path) };
      }
    } else if (rested >= settleMs || impatient) {
      const found = await read(path, parse);
      const unchanged = fingerprint(await look(path)) === mark;
      const doubtful = "problem" in found || found.content.trim() === "";
      if (impatient || (unchanged && (!doubtful || rested >= patienceMs))) {
        return { mark, ...found };
      }
    }
    try {
      await sleep(lookEveryMs, undefined, {
        ...(signal === undefined ? {} : { signal }),
        ref: true,
      });
    } catch (error) {
      throwIfAborted(signal);
      throw error;
    }
  }
}

async function look(path: string): Promise<BigIntStats | undefined> {
  // Any other reason also prevents reading the file, which reports it.
  return stat(path, { bigint: true }).catch(() => undefined);
}

function fingerprint(found: BigIntStats | undefined): string {
  if (found === undefined) return "missing";
  const { dev, ino, size, mtimeNs, ctimeNs } = found;
  return `${dev}:${ino}:${size}:${mtimeNs}:${ctimeNs}`;
}

/** When a file was last written or moved, in milliseconds since 1970. */
function changedAt({ mtimeMs, ctimeMs }: BigIntStats): number {
  return Number(mtimeMs > ctimeMs ? mtimeMs : ctimeMs);
}

async function read<T>(
  path: string,
  parse: (content: string) => Promise<T>,
): Promise<{ content: string; value: T } | { problem: MicroError }> {
  try {
    const content = await readText(path);
    return { content, value: await parse(content) };
  } catch (error) {
    return { problem: asMicroError(error) };
  }
}

async function readText(path: string): Promise<string> {
  try {
    const handle = await open(path, "r");
    try {
      const { size } = await handle.stat();
      if (size > maxBytes) throw tooLarge(path);
      const buffer = new Uint8Array(maxBytes + 1);
      let length = 0;
      for (;;) {
        const { bytesRead } = await handle.read(buffer, length, buffer.length - length);
        if (bytesRead === 0) break;
        length += bytesRead;
        if (length > maxBytes) throw tooLarge(path);
      }
      return new TextDecoder("utf-8", { fatal: true }).decode(buffer.subarray(0, length));
    } finally {
      await handle.close();
    }
  } catch (error) {
    if (error instanceof TypeError) {
      throw new MicroError("invalid_argument", `config file ${path}:1:1: not UTF-8; convert it`, {
        cause: error,
      });
    }
    throw unreadable(path, error);
  }
}

function missing(path: string): MicroError {
  return new MicroError(
    "not_found",
    `config file ${path} does not exist; create it, or make the source optional with required: false`,
  );
}

function tooLarge(path: string): MicroError {
  return new MicroError(
    "resource_exhausted",
    `config file ${path} is larger than ${maxBytes} bytes; split it`,
  );
}

function unreadable(path: string, error: unknown): MicroError {
  if (error instanceof MicroError) return error;
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === "ENOENT") return missing(path);
  return new MicroError(
    code === "EACCES" || code === "EPERM" ? "permission_denied" : "unavailable",
    `cannot read the config file ${path}: ${message}`,
    { cause: error },
  );
}
