import {
  getBool,
  getDouble,
  getFixed32,
  getFixed64,
  getFloat,
  getInt32,
  getInt64,
  getSfixed32,
  getSfixed64,
  getSint64,
  getUint64,
} from "./read-scalars.ts";
import { endOf, getUint32, leave, type Reader, type UnknownFields } from "./reader.ts";
import { low } from "./scratch.ts";
import { keepEnum } from "./unknown.ts";

// Each function reads a packed list after its tag and returns the list with the values appended: a
// list may arrive in several parts, packed or not. An empty list is not filled but replaced: values
// are buffered in a list of the module until their number is known, because a list allocated at its
// final size costs half as much as one that grows.

/** The number of values that can be buffered. */
const most = 1024;

/**
 * Buffered values. Each list has one kind of element, as the engine sees it, and so have the lists
 * made of it.
 */
const integers: number[] = /*@__PURE__*/ waiting(0);
const fractions: number[] = /*@__PURE__*/ waiting(0.5);

function waiting<T>(value: T): T[] {
  return Array.from({ length: most }, () => value);
}

/** Appends the first `count` buffered values to a list. */
function flush<T>(values: readonly T[], count: number, list: T[]): T[] {
  if (list.length === 0) return values.slice(0, count);
  for (let i = 0; i < count; i++) list.push(values[i]!);
  return list;
}

/**
 * Numbers of one or two bytes are read without branching on which of the two it is, which no
 * processor could predict: the second byte is always read, and counts if there is one. Numbers of
 * more than three bytes are read outside of the inner loop, and so is the last one, which has no
 * bytes after it: `next` reads it, and after calling it the engine has to check the arrays again.
 */
function varints(
  reader: Reader,
  before: number[],
  end: number,
  next: (reader: Reader) => number,
): number[] {
  const stop = endOf(reader, end);
  const last = stop - 1;
  const { bytes } = reader;
  let { pos } = reader;
  let list = before;
  let count = 0;
  while (pos < stop) {
    while (pos < last && count < most) {
      const first = bytes[pos]!;
      const more = first >>> 7;
      const value = (first & 0x7f) | ((bytes[pos + 1]! << 7) & -more);
      if (value > 0x3fff) {
        const third = bytes[pos + 2]!;
        if (third >= 0x80 || pos + 1 >= last) break;
        integers[count++] = (value & 0x3fff) | (third << 14);
        pos = (pos + 3) | 0;
        continue;
      }
      integers[count++] = value;
      pos = (pos + 1 + more) | 0;
    }
    if (pos === stop) break;
    if (count === most) {
      list = flushIntegers(count, list);
      count = 0;
      continue;
    }
    reader.pos = pos;
    const value = next(reader);
    pos = reader.pos;
    if ((value << 1) >> 1 === value) integers[count++] = value;
    else {
      list = flushIntegers(count, list);
      count = 0;
      list.push(value);
    }
  }
  reader.pos = pos;
  leave(reader, stop);
  return flushIntegers(count, list);
}

/**
 * {@link flush} for integers: an array literal of a few elements takes half the time of a slice.
 */
// biome-ignore format: it is a table
function flushIntegers(count: number, list: number[]): number[] {
  if (list.length === 0) {
    const v = integers;
    switch (count) {
      case 1: return [v[0]!];
      case 2: return [v[0]!, v[1]!];
      case 3: return [v[0]!, v[1]!, v[2]!];
      case 4: return [v[0]!, v[1]!, v[2]!, v[3]!];
      case 5: return [v[0]!, v[1]!, v[2]!, v[3]!, v[4]!];
      case 6: return [v[0]!, v[1]!, v[2]!, v[3]!, v[4]!, v[5]!];
    }
  }
  return flush(integers, count, list);
}

export function readPackedUint32(reader: Reader, list: number[], end: number): number[] {
  return varints(reader, list, end, getUint32);
}

export function readPackedInt32<E extends number>(reader: Reader, list: E[], end: number): E[] {
  return varints(reader, list, end, getInt32) as E[];
}

export function readPackedSint32(reader: Reader, before: number[], end: number): number[] {
  const { length } = before;
  const list = varints(reader, before, end, getUint32);
  for (let i = length; i < list.length; i++) list[i] = (list[i]! >>> 1) ^ -(list[i]! & 1);
  return list;
}

export function readPackedBool(reader: Reader, list: boolean[], end: number): boolean[] {
  // Not through readPacked: a loop this short gains most from calling a known function.
  const stop = endOf(reader, end);
  while (reader.pos < stop) list.push(getBool(reader));
  leave(reader, stop);
  return list;
}

/** From this many bytes on, one call that copies them is faster than reading them one by one. */
const worthCopying = 256;

/** Copies all complete numbers, as far as they fit into the buffer, to an aligned position. */
function align(reader: Reader, stop: number, aligned: Float32Array | Float64Array): number {
  const { bytes, pos } = reader;
  const width = aligned.BYTES_PER_ELEMENT;
  const size = Math.min(stop - pos, most * width) & -width;
  new Uint8Array(aligned.buffer).set(bytes.subarray(pos, pos + size));
  reader.pos = pos + size;
  return size / width;
}

const floats = /*@__PURE__*/ new Float32Array(most);
const doubles = /*@__PURE__*/ new Float64Array(most);

export function readPackedFloat(reader: Reader, before: number[], end: number): number[] {
  const stop = endOf(reader, end);
  let list = before;
  while (low === 0 && stop - reader.pos >= worthCopying) {
    const count = align(reader, stop, floats);
    for (let i = 0; i < count; i++) fractions[i] = floats[i]!;
    list = flush(fractions, count, list);
  }
  let count = 0;
  while (reader.pos < stop) {
    if (count === most) {
      list = flush(fractions, count, list);
      count = 0;
    }
    fractions[count++] = getFloat(reader);
  }
  leave(reader, stop);
  return flush(fractions, count, list);
}

export function readPackedDouble(reader: Reader, before: number[], end: number): number[] {
  const stop = endOf(reader, end);
  let list = before;
  while (low === 0 && stop - reader.pos >= worthCopying) {
    const count = align(reader, stop, doubles);
    for (let i = 0; i < count; i++) fractions[i] = doubles[i]!;
    list = flush(fractions, count, list);
  }
  let count = 0;
  while (reader.pos < stop) {
    if (count === most) {
      list = flush(fractions, count, list);
      count = 0;
    }
    fractions[count++] = getDouble(reader);
  }
  leave(reader, stop);
  return flush(fractions, count, list);
}

/** Reads a list whose elements another function reads. */
export function readPacked<T>(
  reader: Reader,
  list: T[],
  end: number,
  next: (reader: Reader) => T,
): T[] {
  const stop = endOf(reader, end);
  while (reader.pos < stop) list.push(next(reader));
  leave(reader, stop);
  return list;
}

export function readPackedInt64(reader: Reader, list: bigint[], end: number): bigint[] {
  return readPacked(reader, list, end, getInt64);
}

export function readPackedUint64(reader: Reader, list: bigint[], end: number): bigint[] {
  return readPacked(reader, list, end, getUint64);
}

export function readPackedSint64(reader: Reader, list: bigint[], end: number): bigint[] {
  return readPacked(reader, list, end, getSint64);
}

export function readPackedFixed32(reader: Reader, list: number[], end: number): number[] {
  return readPacked(reader, list, end, getFixed32);
}

export function readPackedSfixed32(reader: Reader, list: number[], end: number): number[] {
  return readPacked(reader, list, end, getSfixed32);
}

export function readPackedFixed64(reader: Reader, list: bigint[], end: number): bigint[] {
  return readPacked(reader, list, end, getFixed64);
}

export function readPackedSfixed64(reader: Reader, list: bigint[], end: number): bigint[] {
  return readPacked(reader, list, end, getSfixed64);
}

/** Reads a list of a closed enum: values that the enum does not have are kept as unknown fields. */
export function readPackedEnum<E extends number>(
  reader: Reader,
  list: E[],
  end: number,
  isKnown: (value: number) => value is E,
  message: UnknownFields,
  number: number,
): E[] {
  const stop = endOf(reader, end);
  while (reader.pos < stop) readEnum(reader, list, isKnown, message, number);
  leave(reader, stop);
  return list;
}

/** Reads an element of a list of a closed enum. */
export function readEnum<E extends number>(
  reader: Reader,
  list: E[],
  isKnown: (value: number) => value is E,
  message: UnknownFields,
  number: number,
): void {
  const value = getInt32(reader);
  if (isKnown(value)) list.push(value);
  else keepEnum(reader, message, number, value);
}
