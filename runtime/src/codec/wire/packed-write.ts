import { int32Of } from "./coercion.ts";
import {
  storeDouble,
  storeFixed32,
  storeFixed64,
  storeFloat,
  storeInt32,
  storeInt64,
  storeSfixed32,
  storeSfixed64,
  storeSint64,
  storeUint32,
  storeUint64,
  storeVarint,
} from "./write-fixed.ts";
import { closeKept, closeLength, putTag, room, varintSize, type Writer } from "./writer.ts";

// Each function writes a non-empty list as one field.

type Long = bigint | string;
type Store<T> = (bytes: Uint8Array, at: number, value: T) => number;

/**
 * Whether there is room for every element at its largest size; if not, each element makes room for
 * itself.
 */
function isRoomy(writer: Writer, start: number, count: number): boolean {
  return start + 10 * count <= writer.bytes.length;
}

function closePacked(writer: Writer, start: number, end: number, kept: number): number {
  return kept === 1 ? closeLength(writer, start, end) : closeKept(writer, start, end, kept);
}

/**
 * Numbers of up to 14 bits are written without branching on whether they take one byte or two, and
 * those of up to 21 bits in the same loop, which calls no functions. All others, and the last one,
 * which must not touch the bytes after it, are written by `store`.
 */
function varints(
  writer: Writer,
  at: number,
  tag: number,
  list: readonly number[],
  store: Store<number>,
): number {
  const count = list.length;
  const kept = varintSize(count + (count >> 1));
  const start = putTag(writer, at, tag) + kept;
  const roomy = isRoomy(writer, start, count);
  const quick = roomy ? count - 1 : 0;
  let { bytes } = writer;
  let pos = start;
  let i = 0;
  while (i < count) {
    while (i < quick) {
      const given = list[i]!;
      const value = given | 0;
      if (value >>> 0 > 0x1fffff || value !== given) break;
      i++;
      if (value > 0x3fff) {
        bytes[pos] = value | 0x80;
        bytes[pos + 1] = (value >> 7) | 0x80;
        bytes[pos + 2] = value >> 14;
        pos += 3;
      } else {
        const two = (0x7f - value) >>> 31;
        bytes[pos] = value | (two << 7);
        bytes[pos + 1] = value >> 7;
        pos += 1 + two;
      }
    }
    if (!roomy) bytes = room(writer, pos + 10);
    pos = store(bytes, pos, list[i++]!);
  }
  return closePacked(writer, start, pos, kept);
}

export function writePackedUint32(
  writer: Writer,
  at: number,
  tag: number,
  list: readonly number[],
): number {
  return varints(writer, at, tag, list, storeUint32);
}

export function writePackedInt32(
  writer: Writer,
  at: number,
  tag: number,
  list: readonly number[],
): number {
  return varints(writer, at, tag, list, storeInt32);
}

export function writePackedSint32(
  writer: Writer,
  at: number,
  tag: number,
  list: readonly number[],
): number {
  return varints(writer, at, tag, list.map(zigzag), storeUint32);
}

function zigzag(value: number): number {
  const checked = (value | 0) === value ? value : int32Of(value);
  return ((checked << 1) ^ (checked >> 31)) >>> 0;
}

/** @param width the size of an element in bytes, or its usual size */
function packed<T>(
  writer: Writer,
  at: number,
  tag: number,
  list: readonly T[],
  width: number,
  store: Store<T>,
): number {
  const count = list.length;
  const kept = varintSize(width * count);
  const start = putTag(writer, at, tag) + kept;
  const roomy = isRoomy(writer, start, count);
  let { bytes } = writer;
  let pos = start;
  for (let i = 0; i < count; i++) {
    if (!roomy) bytes = room(writer, pos + 10);
    pos = store(bytes, pos, list[i]!);
  }
  return closePacked(writer, start, pos, kept);
}

export function writePackedBool(
  writer: Writer,
  at: number,
  tag: number,
  list: readonly boolean[],
): number {
  const count = list.length;
  let pos = putTag(writer, at, tag);
  const bytes = room(writer, pos + count + 5);
  pos = storeVarint(bytes, pos, count);
  for (let i = 0; i < count; i++) bytes[pos + i] = list[i] ? 1 : 0;
  return pos + count;
}

export function writePackedInt64(
  writer: Writer,
  at: number,
  tag: number,
  list: readonly Long[],
): number {
  return packed(writer, at, tag, list, 4, storeInt64);
}

export function writePackedUint64(
  writer: Writer,
  at: number,
  tag: number,
  list: readonly Long[],
): number {
  return packed(writer, at, tag, list, 4, storeUint64);
}

export function writePackedSint64(
  writer: Writer,
  at: number,
  tag: number,
  list: readonly Long[],
): number {
  return packed(writer, at, tag, list, 4, storeSint64);
}

export function writePackedFixed32(
  writer: Writer,
  at: number,
  tag: number,
  list: readonly number[],
): number {
  return packed(writer, at, tag, list, 4, storeFixed32);
}

export function writePackedSfixed32(
  writer: Writer,
  at: number,
  tag: number,
  list: readonly number[],
): number {
  return packed(writer, at, tag, list, 4, storeSfixed32);
}

export function writePackedFixed64(
  writer: Writer,
  at: number,
  tag: number,
  list: readonly Long[],
): number {
  return packed(writer, at, tag, list, 8, storeFixed64);
}

export function writePackedSfixed64(
  writer: Writer,
  at: number,
  tag: number,
  list: readonly Long[],
): number {
  return packed(writer, at, tag, list, 8, storeSfixed64);
}

export function writePackedFloat(
  writer: Writer,
  at: number,
  tag: number,
  list: readonly number[],
): number {
  return packed(writer, at, tag, list, 4, storeFloat);
}

export function writePackedDouble(
  writer: Writer,
  at: number,
  tag: number,
  list: readonly number[],
): number {
  return packed(writer, at, tag, list, 8, storeDouble);
}
