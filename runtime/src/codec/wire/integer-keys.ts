import { int64Key, integerKey } from "./coercion.ts";
import {
  storeFixed32,
  storeFixed64,
  storeInt64,
  storeSfixed64,
  storeSint64,
  storeUint64,
  storeVarint,
} from "./write-fixed.ts";

/**
 * A key of a map with 64-bit integer keys: a number of at most 32 bits, or the name of the
 * property.
 */
export type LongKey = number | string;

interface IntegerMap {
  readonly [key: string]: unknown;
}

const none: readonly number[] = [];

/** The keys of a map with integer keys, in the engine's order. */
export function integerKeys(map: IntegerMap): readonly number[] {
  const counted = countedKeys(map);
  if (counted !== undefined) return counted;
  const names = Object.keys(map);
  return names.length === 0 ? none : names.map(integerKey);
}

/** The keys of a map with 64-bit integer keys, in the engine's order. */
export function longKeys(map: IntegerMap): readonly LongKey[] {
  return countedKeys(map) ?? Object.keys(map);
}

/** The most gaps allowed in the keys of a map. */
const mostGaps = 16;

/**
 * The keys of a map that are 0, 1, 2 and so on, with few gaps; undefined if there are others.
 * Looking up each of them takes a quarter of the time that the engine needs to turn each into text
 * and the text back into a number.
 */
function countedKeys(map: IntegerMap): number[] | undefined {
  if (map[0] === undefined && map[1] === undefined) return undefined;
  // Another prototype could have entries that are not the map's.
  const prototype = Object.getPrototypeOf(map);
  if (prototype !== Object.prototype && prototype !== null) return undefined;
  // Only the length matters: keys replace the values.
  const keys = Object.values(map) as number[];
  let count = 0;
  for (let key = 0; count < keys.length; key++) {
    if (map[key] !== undefined) keys[count++] = key;
    else if (key - count >= mostGaps) return undefined;
  }
  return keys;
}

// Each function stores a key at a position that has enough room after it, and returns the position
// after the key.

export function storeInt64Key(bytes: Uint8Array, at: number, key: LongKey): number {
  if (typeof key === "number") return storeVarint(bytes, at, key);
  return storeInt64(bytes, at, int64Key(key));
}

export function storeUint64Key(bytes: Uint8Array, at: number, key: LongKey): number {
  if (typeof key === "number") return storeVarint(bytes, at, key);
  return storeUint64(bytes, at, int64Key(key));
}

export function storeSint64Key(bytes: Uint8Array, at: number, key: LongKey): number {
  if (typeof key === "number") return storeVarint(bytes, at, 2 * key);
  return storeSint64(bytes, at, int64Key(key));
}

export function storeFixed64Key(bytes: Uint8Array, at: number, key: LongKey): number {
  if (typeof key === "number") return storeFixed32(bytes, storeFixed32(bytes, at, key), 0);
  return storeFixed64(bytes, at, int64Key(key));
}

export function storeSfixed64Key(bytes: Uint8Array, at: number, key: LongKey): number {
  if (typeof key === "number") return storeFixed32(bytes, storeFixed32(bytes, at, key), 0);
  return storeSfixed64(bytes, at, int64Key(key));
}
