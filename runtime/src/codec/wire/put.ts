import { int64Of, uint64Of } from "./coercion.ts";
import { doubles, floats, high, longs, low, unsignedLongs, words } from "./scratch.ts";

// Each puts a value at a position, where there is room for it, and returns the position behind. A Uint8Array
// keeps the low eight bits of what is stored in it, so nothing is masked here.

export function putVarint(bytes: Uint8Array, at: number, value: number): number {
  let pos = at;
  let rest = value;
  while (rest > 0x7f) {
    bytes[pos++] = rest | 0x80;
    rest >>>= 7;
  }
  bytes[pos++] = rest;
  return pos;
}

/** A signed number: a negative one is sign-extended to 64 bits, which takes ten bytes. */
export function putInt32(bytes: Uint8Array, at: number, value: number): number {
  if (value >= 0) return putVarint(bytes, at, value);
  bytes[at] = value | 0x80;
  bytes[at + 1] = (value >>> 7) | 0x80;
  bytes[at + 2] = (value >>> 14) | 0x80;
  bytes[at + 3] = (value >>> 21) | 0x80;
  bytes[at + 4] = (value >> 28) | 0x80;
  bytes[at + 5] = 0xff;
  bytes[at + 6] = 0xff;
  bytes[at + 7] = 0xff;
  bytes[at + 8] = 0xff;
  bytes[at + 9] = 1;
  return at + 10;
}

export function putInt64(bytes: Uint8Array, at: number, value: bigint | string): number {
  loadInt64(value);
  return putLongVarint(bytes, at, words[low]!, words[high]!);
}

export function putUint64(bytes: Uint8Array, at: number, value: bigint | string): number {
  loadUint64(value);
  return putLongVarint(bytes, at, words[low]!, words[high]!);
}

export function putSint64(bytes: Uint8Array, at: number, value: bigint | string): number {
  loadInt64(value);
  const lower = words[low]!;
  const upper = words[high]!;
  const sign = upper >> 31;
  return putLongVarint(bytes, at, (lower << 1) ^ sign, ((upper << 1) | (lower >>> 31)) ^ sign);
}

/** A 64-bit varint, of two halves. */
function putLongVarint(bytes: Uint8Array, at: number, lower: number, upper: number): number {
  if (upper === 0) return putVarint(bytes, at, lower >>> 0);
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
  return putVarint(bytes, at + 5, rest);
}

export function putFour(bytes: Uint8Array, at: number, value: number): number {
  bytes[at] = value;
  bytes[at + 1] = value >>> 8;
  bytes[at + 2] = value >>> 16;
  bytes[at + 3] = value >>> 24;
  return at + 4;
}

export function putFloat(bytes: Uint8Array, at: number, value: number): number {
  floats[0] = value;
  return putFour(bytes, at, words[0]!);
}

export function putDouble(bytes: Uint8Array, at: number, value: number): number {
  doubles[0] = value;
  return putFour(bytes, putFour(bytes, at, words[low]!), words[high]!);
}

export function putSfixed64(bytes: Uint8Array, at: number, value: bigint | string): number {
  loadInt64(value);
  return putFour(bytes, putFour(bytes, at, words[low]!), words[high]!);
}

export function putFixed64(bytes: Uint8Array, at: number, value: bigint | string): number {
  loadUint64(value);
  return putFour(bytes, putFour(bytes, at, words[low]!), words[high]!);
}

function loadInt64(value: bigint | string): void {
  const integer = typeof value === "bigint" ? value : int64Of(value);
  longs[0] = integer;
  // What does not fit has lost its upper bits; that is quicker to see than a comparison of bigints.
  if (longs[0] !== integer) int64Of(integer);
}

function loadUint64(value: bigint | string): void {
  const integer = typeof value === "bigint" ? value : uint64Of(value);
  unsignedLongs[0] = integer;
  if (unsignedLongs[0] !== integer) uint64Of(integer);
}
