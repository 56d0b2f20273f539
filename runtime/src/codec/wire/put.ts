import { int64Of, uint64Of } from "./coercion.ts";
import { scratch, scratchBytes } from "./scratch.ts";

// Each puts a value at a position and returns the one behind it. A Uint8Array keeps the low eight bits of
// what is stored in it, so nothing is masked here.

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
  return putWords(bytes, at, scratch.getInt32(0, true), scratch.getInt32(4, true));
}

export function putUint64(bytes: Uint8Array, at: number, value: bigint | string): number {
  loadUint64(value);
  return putWords(bytes, at, scratch.getInt32(0, true), scratch.getInt32(4, true));
}

export function putSint64(bytes: Uint8Array, at: number, value: bigint | string): number {
  loadInt64(value);
  const low = scratch.getInt32(0, true);
  const high = scratch.getInt32(4, true);
  const sign = high >> 31;
  return putWords(bytes, at, (low << 1) ^ sign, ((high << 1) | (low >>> 31)) ^ sign);
}

/** A 64-bit varint, of two halves. */
function putWords(bytes: Uint8Array, at: number, low: number, high: number): number {
  if (high === 0) return putVarint(bytes, at, low >>> 0);
  bytes[at] = low | 0x80;
  bytes[at + 1] = (low >>> 7) | 0x80;
  bytes[at + 2] = (low >>> 14) | 0x80;
  bytes[at + 3] = (low >>> 21) | 0x80;
  const middle = (low >>> 28) | ((high & 7) << 4);
  const rest = high >>> 3;
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
  scratch.setFloat32(0, value, true);
  return putFour(bytes, at, scratch.getInt32(0, true));
}

export function putDouble(bytes: Uint8Array, at: number, value: number): number {
  scratch.setFloat64(0, value, true);
  return putScratch(bytes, at);
}

export function putSfixed64(bytes: Uint8Array, at: number, value: bigint | string): number {
  loadInt64(value);
  return putScratch(bytes, at);
}

export function putFixed64(bytes: Uint8Array, at: number, value: bigint | string): number {
  loadUint64(value);
  return putScratch(bytes, at);
}

function putScratch(bytes: Uint8Array, at: number): number {
  bytes[at] = scratchBytes[0]!;
  bytes[at + 1] = scratchBytes[1]!;
  bytes[at + 2] = scratchBytes[2]!;
  bytes[at + 3] = scratchBytes[3]!;
  bytes[at + 4] = scratchBytes[4]!;
  bytes[at + 5] = scratchBytes[5]!;
  bytes[at + 6] = scratchBytes[6]!;
  bytes[at + 7] = scratchBytes[7]!;
  return at + 8;
}

function loadInt64(value: bigint | string): void {
  const integer = typeof value === "bigint" ? value : int64Of(value);
  scratch.setBigInt64(0, integer, true);
  // What does not fit has lost its upper bits; that is quicker to see than a comparison of bigints.
  if (scratch.getBigInt64(0, true) !== integer) int64Of(integer);
}

function loadUint64(value: bigint | string): void {
  const integer = typeof value === "bigint" ? value : uint64Of(value);
  scratch.setBigUint64(0, integer, true);
  if (scratch.getBigUint64(0, true) !== integer) uint64Of(integer);
}
