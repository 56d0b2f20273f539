import { Buffer } from "node:buffer";
import { asMicroError, MicroError } from "../error.ts";
import type { Fence, WriteOptions } from "./store.ts";

/** The latest time that a `Date` can hold. */
const latestTime = 8.64e15;

/** What is written, checked and independent of its caller. */
export interface Write {
  readonly value: Uint8Array;
  readonly metadata: Readonly<Record<string, string>>;
  /** Wall-clock milliseconds; undefined when the record stays. */
  readonly expiresAt: number | undefined;
  readonly ifVersion: bigint | undefined;
  /** Bytes of value and metadata. */
  readonly bytes: number;
}

/**
 * Copies and checks what a caller wants written.
 * @throws MicroError as {@link Store.write} says.
 */
export function checkWrite(
  key: string,
  value: Uint8Array,
  options: WriteOptions,
  now: number,
  maxBytes: number,
): Write {
  if (!(value instanceof Uint8Array)) {
    throw refuse("invalid_argument", key, "a value is a Uint8Array; encode text with TextEncoder");
  }
  const { ttlMs, ifVersion } = options;
  if (ttlMs !== undefined && !(ttlMs > 0 && now + ttlMs <= latestTime)) {
    throw refuse(
      "invalid_argument",
      key,
      `a ttl is a positive number of milliseconds within the range of dates, not ${ttlMs}`,
    );
  }
  if (ifVersion !== undefined && (typeof ifVersion !== "bigint" || ifVersion < 0n)) {
    throw refuse("invalid_argument", key, "ifVersion is a version that this store returned, or 0n");
  }
  const metadata: [string, string][] = [];
  let bytes = value.length;
  for (const [name, text] of Object.entries(options.metadata ?? {})) {
    if (typeof text !== "string") {
      throw refuse("invalid_argument", key, `metadata ${JSON.stringify(name)} is not text`);
    }
    bytes += Buffer.byteLength(name) + Buffer.byteLength(text);
    metadata.push([name, text]);
  }
  if (bytes > maxBytes) {
    throw refuse(
      "resource_exhausted",
      key,
      `value and metadata have ${bytes} bytes, and ${maxBytes} is the limit`,
    );
  }
  return {
    // Not slice: a Buffer's slice shares its memory.
    value: new Uint8Array(value),
    metadata: Object.freeze(Object.fromEntries(metadata)),
    expiresAt: ttlMs === undefined ? undefined : Math.ceil(now + ttlMs),
    ifVersion,
    bytes,
  };
}

/**
 * Compares the version that a caller expects with the one there is, `0n` for none.
 * @throws MicroError `aborted`
 */
export function requireVersion(
  key: string,
  expected: bigint | undefined,
  current: bigint,
  action: "write" | "delete",
): void {
  if (expected === undefined || expected === current) return;
  const found = current === 0n ? "it does not exist" : `it has version ${current}`;
  throw new MicroError(
    "aborted",
    `cannot ${action} store key ${quoteKey(key)} at version ${expected}: ${found}; read it again and retry`,
    { outcome: "not-executed" },
  );
}

/** The longest name of a lock in a fence, in characters. */
const maxFenceLock = 512;

/** @throws MicroError `invalid_argument` for a fence that names no lock or has no token. */
export function checkFence(key: string, fence: Fence | undefined): Fence | undefined {
  if (fence === undefined) return undefined;
  const { lock, token } = fence;
  if (typeof lock !== "string" || lock === "" || lock.length > maxFenceLock) {
    throw refuse("invalid_argument", key, `a fence names a lock, in ${maxFenceLock} characters`);
  }
  if (typeof token !== "bigint" || token < 0n || token >= 1n << 64n) {
    throw refuse("invalid_argument", key, "a fence has the token of a lock, or an epoch");
  }
  return { lock, token };
}

/**
 * Compares a change's token with the largest that was seen.
 * @throws MicroError `aborted`
 */
export function requireFence(
  key: string,
  fence: Fence | undefined,
  largest: bigint | undefined,
): void {
  if (fence === undefined || largest === undefined || fence.token >= largest) return;
  throw new MicroError(
    "aborted",
    `cannot change store key ${quoteKey(key)} under lock ${quoteKey(fence.lock)} with token ${fence.token}: ` +
      `token ${largest} was seen, so the lock was lost; stop what it protects`,
    { outcome: "not-executed" },
  );
}

/** @throws MicroError `unavailable` */
export function requireOpen(closed: boolean, action: string): void {
  if (!closed) return;
  throw new MicroError("unavailable", `cannot ${action}: the store is closed`, {
    outcome: "not-executed",
  });
}

/** @throws MicroError `canceled`, or `deadline_exceeded` for the signal of a timeout. */
export function requireNotAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted === true) {
    throw asMicroError(signal.reason, "canceled", { outcome: "not-executed" });
  }
}

/** A key as it may stand in a message: escaped, and not longer than a line. */
export function quoteKey(key: string): string {
  return JSON.stringify(key.length > 80 ? `${key.slice(0, 80)}…` : key);
}

function refuse(
  code: "invalid_argument" | "resource_exhausted",
  key: string,
  reason: string,
): MicroError {
  return new MicroError(code, `cannot write store key ${quoteKey(key)}: ${reason}`, {
    outcome: "not-executed",
  });
}
