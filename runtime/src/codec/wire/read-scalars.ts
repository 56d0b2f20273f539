import { asciiText } from "./ascii.ts";
import type { LongKey } from "./integer-keys.ts";
import { badVarint, endOf, getUint32, partOf, type Reader } from "./reader.ts";
import { doubles, floats, high, longs, low, unsignedLongs, words } from "./scratch.ts";
import { decodeStrictText, decodeText } from "./text.ts";

// Each function reads a value after its tag.

export function getInt32(reader: Reader): number {
  return getUint32(reader) | 0;
}

export function getSint32(reader: Reader): number {
  const value = getUint32(reader);
  return (value >>> 1) ^ -(value & 1);
}

export function getBool(reader: Reader): boolean {
  const first = reader.bytes[reader.pos]!;
  if (first < 0x80) {
    reader.pos++;
    return first !== 0;
  }
  getLong(reader);
  return (words[0]! | words[1]!) !== 0;
}

export function getInt64(reader: Reader): bigint {
  getLong(reader);
  return longs[0]!;
}

export function getUint64(reader: Reader): bigint {
  getLong(reader);
  return unsignedLongs[0]!;
}

export function getSint64(reader: Reader): bigint {
  getLong(reader);
  const lower = words[low]!;
  const upper = words[high]!;
  const sign = -(lower & 1);
  words[low] = ((lower >>> 1) | (upper << 31)) ^ sign;
  words[high] = (upper >>> 1) ^ sign;
  return longs[0]!;
}

export function getFixed32(reader: Reader): number {
  return getSfixed32(reader) >>> 0;
}

export function getSfixed32(reader: Reader): number {
  const { bytes, pos } = reader;
  reader.pos = pos + 4;
  return bytes[pos]! | (bytes[pos + 1]! << 8) | (bytes[pos + 2]! << 16) | (bytes[pos + 3]! << 24);
}

export function getFloat(reader: Reader): number {
  words[0] = getSfixed32(reader);
  return floats[0]!;
}

export function getSfixed64(reader: Reader): bigint {
  getEight(reader);
  return longs[0]!;
}

export function getFixed64(reader: Reader): bigint {
  getEight(reader);
  return unsignedLongs[0]!;
}

export function getDouble(reader: Reader): number {
  const { pos, view } = reader;
  if (view !== undefined && pos + 8 <= reader.limit) {
    reader.pos = pos + 8;
    return view.getFloat64(pos, true);
  }
  getEight(reader);
  return doubles[0]!;
}

/** A string, whose bytes must be valid UTF-8. */
export function getString(reader: Reader): string {
  const end = endOf(reader, reader.limit);
  const start = reader.pos;
  reader.pos = end;
  return asciiText(reader.bytes, start, end) ?? decodeStrictText(reader.bytes, start, end);
}

/** A string of a field that does not verify UTF-8: invalid bytes become U+FFFD. */
export function getUncheckedString(reader: Reader): string {
  const end = endOf(reader, reader.limit);
  const start = reader.pos;
  reader.pos = end;
  return asciiText(reader.bytes, start, end) ?? decodeText(reader.bytes, start, end);
}

export function getBytes(reader: Reader): Uint8Array {
  const end = endOf(reader, reader.limit);
  const start = reader.pos;
  reader.pos = end;
  return partOf(reader, start, end);
}

export function getInt64Key(reader: Reader): LongKey {
  getLong(reader);
  return keyOf(longs);
}

export function getUint64Key(reader: Reader): LongKey {
  getLong(reader);
  return keyOf(unsignedLongs);
}

export function getSint64Key(reader: Reader): LongKey {
  getSint64(reader);
  return keyOf(longs);
}

export function getSfixed64Key(reader: Reader): LongKey {
  getEight(reader);
  return keyOf(longs);
}

export function getFixed64Key(reader: Reader): LongKey {
  getEight(reader);
  return keyOf(unsignedLongs);
}

/**
 * The contents of the scratch as a key. Most keys do not need a bigint, which is expensive to turn
 * into text.
 */
function keyOf(long: BigInt64Array | BigUint64Array): LongKey {
  return words[high] === 0 ? words[low]! >>> 0 : String(long[0]!);
}

/** Reads eight bytes into the words of the scratch. */
function getEight(reader: Reader): void {
  words[low] = getSfixed32(reader);
  words[high] = getSfixed32(reader);
}

/** Reads a varint of up to 64 bits into the words of the scratch. */
function getLong(reader: Reader): void {
  const { bytes } = reader;
  let { pos } = reader;
  let byte = bytes[pos++]!;
  let lower = byte & 0x7f;
  let upper = 0;
  for (let shift = 7; byte >= 0x80 && shift < 28; shift += 7) {
    byte = bytes[pos++]!;
    lower |= (byte & 0x7f) << shift;
  }
  if (byte >= 0x80) {
    byte = bytes[pos++]!;
    lower |= (byte & 0x7f) << 28;
    upper = (byte & 0x7f) >> 4;
    for (let shift = 3; byte >= 0x80 && shift < 32; shift += 7) {
      byte = bytes[pos++]!;
      upper |= (byte & 0x7f) << shift;
    }
  }
  reader.pos = pos;
  if (!(byte < 0x80)) throw badVarint(reader);
  words[low] = lower;
  words[high] = upper;
}
