import { badValue, doubleOf, int32Of, int64Of, uint32Of, uint64Of } from "./coercion.ts";
import { doubles, floats, high, longs, low, unsignedLongs, words } from "./scratch.ts";

// Each function stores a value, without its tag, at a position that has enough room after it, and
// returns the position after the value. A Uint8Array keeps the low eight bits of what is stored in
// it, so no masking is needed here.

export function storeVarint(bytes: Uint8Array, at: number, value: number): number {
  let pos = at;
  let rest = value;
  while (rest > 0x7f) {
    bytes[pos++] = rest | 0x80;
    rest >>>= 7;
  }
  bytes[pos++] = rest;
  return pos;
}

export function storeUint32(bytes: Uint8Array, at: number, value: number): number {
  return storeVarint(bytes, at, value >>> 0 === value ? value : uint32Of(value));
}

export function storeInt32(bytes: Uint8Array, at: number, value: number): number {
  const checked = (value | 0) === value ? value : int32Of(value);
  // A negative number is sign-extended to 64 bits.
  return checked < 0 ? storeLong(bytes, at, checked, -1) : storeVarint(bytes, at, checked);
}

export function storeSint32(bytes: Uint8Array, at: number, value: number): number {
  const checked = (value | 0) === value ? value : int32Of(value);
  return storeVarint(bytes, at, ((checked << 1) ^ (checked >> 31)) >>> 0);
}

export function storeBool(bytes: Uint8Array, at: number, value: boolean): number {
  bytes[at] = value ? 1 : 0;
  return at + 1;
}

export function storeInt64(bytes: Uint8Array, at: number, value: bigint | string): number {
  loadInt64(value);
  return storeLong(bytes, at, words[low]!, words[high]!);
}

export function storeUint64(bytes: Uint8Array, at: number, value: bigint | string): number {
  loadUint64(value);
  return storeLong(bytes, at, words[low]!, words[high]!);
}

export function storeSint64(bytes: Uint8Array, at: number, value: bigint | string): number {
  loadInt64(value);
  const lower = words[low]!;
  const upper = words[high]!;
  const sign = upper >> 31;
  return storeLong(bytes, at, (lower << 1) ^ sign, ((upper << 1) | (lower >>> 31)) ^ sign);
}

/** A 64-bit varint, from two halves. */
function storeLong(bytes: Uint8Array, at: number, lower: number, upper: number): number {
  if (upper === 0) return storeVarint(bytes, at, lower >>> 0);
  bytes[at] = lower | 0x80;
  bytes[at + 1] = (lower >>> 7) | 0x80;
  bytes[at + 2] = (lower >>> 14) | 0x80;
  bytes[at + 3] = (lower >>> 21) | 0x80;
  const middle = (lower >>> 28) | ((upper & 7) << 4);
  const rest = upper >>> 3;
  if (rest === 0) {
    bytes[at + 4] = middle;
    return at + 5;
  }
  bytes[at + 4] = middle | 0x80;
  return storeVarint(bytes, at + 5, rest);
}

export function storeFixed32(bytes: Uint8Array, at: number, value: number): number {
  return storeWord(bytes, at, value >>> 0 === value ? value : uint32Of(value));
}

export function storeSfixed32(bytes: Uint8Array, at: number, value: number): number {
  return storeWord(bytes, at, (value | 0) === value ? value : int32Of(value));
}

export function storeFloat(bytes: Uint8Array, at: number, value: number): number {
  const number = typeof value === "number" ? value : doubleOf(value);
  floats[0] = number;
  // Rounding to a float may lose digits, but must not turn a number into infinity.
  if (floats[0] - floats[0] !== 0 && number - number === 0) {
    throw badValue("a number in the range of a float", value);
  }
  return storeWord(bytes, at, words[0]!);
}

export function storeDouble(bytes: Uint8Array, at: number, value: number): number {
  const number = typeof value === "number" ? value : doubleOf(value);
  if (bytes === viewed) {
    view!.setFloat64(at, number, true);
    return at + 8;
  }
  doubles[0] = number;
  return storeWords(bytes, at);
}

/** The largest array to keep a reference to. */
const largestViewed = 1 << 20;

/** The array in which doubles are stored through a DataView, which is four times as fast. */
let viewed: Uint8Array | undefined;
let view: DataView | undefined;

/**
 * Stores doubles in this array through a DataView, until another array is set. Preparing it takes
 * as long as storing thirty doubles.
 */
export function viewDoubles(bytes: Uint8Array): void {
  if (bytes === viewed || bytes.length > largestViewed) return;
  viewed = bytes;
  view = new DataView(bytes.buffer, bytes.byteOffset);
}

function storeWord(bytes: Uint8Array, at: number, value: number): number {
  bytes[at] = value;
  bytes[at + 1] = value >>> 8;
  bytes[at + 2] = value >>> 16;
  bytes[at + 3] = value >>> 24;
  return at + 4;
}

/** The eight bytes of the scratch. */
function storeWords(bytes: Uint8Array, at: number): number {
  return storeWord(bytes, storeWord(bytes, at, words[low]!), words[high]!);
}

export function storeSfixed64(bytes: Uint8Array, at: number, value: bigint | string): number {
  loadInt64(value);
  return storeWords(bytes, at);
}

export function storeFixed64(bytes: Uint8Array, at: number, value: bigint | string): number {
  loadUint64(value);
  return storeWords(bytes, at);
}

function loadInt64(value: bigint | string): void {
  const integer = typeof value === "bigint" ? value : int64Of(value);
  longs[0] = integer;
  // A value that does not fit has lost its upper bits, which is faster to detect than by comparing
  // bigints.
  if (longs[0] !== integer) int64Of(integer);
}

function loadUint64(value: bigint | string): void {
  const integer = typeof value === "bigint" ? value : uint64Of(value);
  unsignedLongs[0] = integer;
  if (unsignedLongs[0] !== integer) uint64Of(integer);
}
