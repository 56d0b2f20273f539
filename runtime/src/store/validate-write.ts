import { Buffer } from "node:buffer";
import { MicroError } from "../base/error.ts";
import { checkOptions } from "../base/option-check.ts";
import { keyBytes } from "./key.ts";
import { deleteKinds, writeKinds } from "./option-kinds.ts";
import type { DeleteOptions, Fence, WriteOptions } from "./store.ts";

/** The latest time that a `Date` can hold. */
const latestTime = 8.64e15;

/** A validated write, independent of its caller's buffers. */
export interface Write {
  readonly value: Uint8Array;
  readonly metadata: Readonly<Record<string, string>>;
  /** Wall-clock milliseconds; undefined if the record does not expire. */
  readonly expiresAt: number | undefined;
  readonly ifVersion: bigint | undefined;
  /** Size of value and metadata. */
  readonly bytes: number;
}

/**
 * Copies and validates a caller's write.
 * @throws MicroError as {@link Store.write} describes.
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
  checkOptions(() => `write store key ${quoteKey(key)}`, options, writeKinds);
  const { ttlMs, ifVersion } = options;
  if (ttlMs !== undefined && now + ttlMs > latestTime) {
    throw refuse("invalid_argument", key, `a ttlMs of ${ttlMs} ends after the range of dates`);
  }
  const metadata: [string, string][] = [];
  let bytes = value.length;
  for (const [name, text] of Object.entries(options.metadata ?? {})) {
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
 * Compares the version that a caller expects with the current one, `0n` for none.
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

/** A copy of the fence of a change, independent of the caller. */
export function fenceOf({ fence }: DeleteOptions): Fence | undefined {
  return fence === undefined ? undefined : { lock: fence.lock, token: fence.token };
}

/**
 * Checks the options of a deletion.
 * @throws MicroError `invalid_argument` for an invalid version, or a fence without a lock or token.
 */
export function checkDelete(key: string, options: DeleteOptions): void {
  checkOptions(() => `delete store key ${quoteKey(key)}`, options, deleteKinds);
}

/**
 * Compares a change's token with the largest one seen.
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
  if (closed) throw storeClosed(action);
}

export function storeClosed(action: string): MicroError {
  return new MicroError("unavailable", `cannot ${action}: the store is closed`, {
    outcome: "not-executed",
  });
}

/**
 * Checks the key of an operation, and that the store is open.
 * @returns the UTF-8 bytes of the key.
 * @throws MicroError `unavailable` when the store is closed, otherwise as {@link keyBytes}.
 */
export function checkKey(
  action: "read" | "write" | "delete",
  key: string,
  maxKeyBytes: number,
  closed: boolean,
): Uint8Array {
  requireOpen(closed, `${action} a key`);
  return keyBytes(key, maxKeyBytes);
}

/** A key as shown in a message: escaped, and at most one line long. */
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
