import { MicroError } from "../base/error.ts";
import { checkOptions } from "../base/option-check.ts";
import { listKinds } from "./option-kinds.ts";
import type { ListOptions } from "./store.ts";

const encoder = new TextEncoder();
const loneSurrogate = /\p{Surrogate}/u;

/**
 * The UTF-8 bytes of a key.
 * @throws MicroError `invalid_argument` for a key that is not text, empty, too long, or not
 * well-formed Unicode: two keys with lone surrogates would have the same bytes.
 */
export function keyBytes(key: string, maxBytes: number): Uint8Array {
  if (typeof key !== "string" || key === "") {
    throw refuse("a store key must be text that is not empty");
  }
  requireWellFormed("store key", key);
  const bytes = encoder.encode(key);
  if (bytes.length > maxBytes) {
    throw refuse(`a store key of ${bytes.length} bytes is longer than ${maxBytes} bytes`);
  }
  return bytes;
}

/**
 * Compares two keys by the order of their UTF-8 bytes. JavaScript's own order is that of UTF-16,
 * which puts the characters above U+FFFF before U+E000 to U+FFFF.
 */
export function compareKeys(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const x = a.charCodeAt(i);
    const y = b.charCodeAt(i);
    if (x !== y) return rank(x) - rank(y);
  }
  return a.length - b.length;
}

/** Ranks surrogates after all other code units. */
function rank(unit: number): number {
  return unit >= 0xd800 && unit <= 0xdfff ? unit + 0x10000 : unit;
}

/** The options of a listing with defaults applied. */
export interface Listing {
  readonly prefix: string;
  readonly suffix: string;
  readonly limit: number;
  readonly offset: number;
  readonly after: string | undefined;
  readonly signal: AbortSignal | undefined;
}

/** @throws MicroError `invalid_argument` for a limit or offset that is not a valid count. */
export function checkListing(options: ListOptions = {}): Listing {
  checkOptions("list the store", options, listKinds);
  const { prefix = "", suffix = "", limit = Number.POSITIVE_INFINITY, offset = 0, after } = options;
  for (const text of [prefix, suffix, after ?? ""]) requireWellFormed("store listing", text);
  return { prefix, suffix, limit, offset, after, signal: options.signal };
}

function requireWellFormed(what: string, text: string): void {
  if (loneSurrogate.test(text)) {
    throw refuse(`a ${what} must be well-formed Unicode, and this one has an unpaired surrogate`);
  }
}

function refuse(message: string): MicroError {
  return new MicroError("invalid_argument", message, { outcome: "not-executed" });
}
