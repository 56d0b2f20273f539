import {
  storeDouble,
  storeFixed32,
  storeFixed64,
  storeFloat,
  storeInt32,
  storeInt64,
  storeSfixed32,
  storeSfixed64,
  storeSint32,
  storeSint64,
  storeUint32,
  storeUint64,
  storeVarint,
} from "./store.ts";
import { closeLength, openLength, putTag, room, varintSize, type Writer } from "./writer.ts";

// Each writes a list that is not empty as one field.

type Long = bigint | string;
type Store<T> = (bytes: Uint8Array, at: number, value: T) => number;

/** Whether there is room for every element at its largest; where there is not, each makes room for itself. */
function isRoomy(writer: Writer, start: number, count: number): boolean {
  return start + 10 * count <= writer.bytes.length;
}

/**
 * Numbers of up to 14 bits are written without a branch on how many bytes they take, in a loop that calls
 * nothing; all others, and the last one, which must not touch what is behind it, by `store`.
 */
function varints(
  writer: Writer,
  at: number,
  tag: number,
  list: readonly number[],
  zigzag: boolean,
  store: Store<number>,
): number {
  const count = list.length;
  const kept = varintSize(count + (count >> 1));
  const start = openLength(writer, at, tag, kept);
  const roomy = isRoomy(writer, start, count);
  let { bytes } = writer;
  let pos = start;
  let i = 0;
  while (i < count) {
    while (roomy && i < count - 1) {
      const given = list[i]!;
      const value = zigzag ? (given << 1) ^ (given >> 31) : given | 0;
      if (value >>> 0 > 0x3fff || (given | 0) !== given) break;
      const two = (0x7f - value) >>> 31;
      bytes[pos] = value | (two << 7);
      bytes[pos + 1] = value >> 7;
      pos += 1 + two;
      i++;
    }
    if (!roomy) bytes = room(writer, pos, 10);
    pos = store(bytes, pos, list[i++]!);
  }
  return closeLength(writer, start, pos, kept);
}

export function writePackedUint32(
  writer: Writer,
  at: number,
  tag: number,
  list: readonly number[],
): number {
  return varints(writer, at, tag, list, false, storeUint32);
}

export function writePackedInt32(
  writer: Writer,
  at: number,
  tag: number,
  list: readonly number[],
): number {
  return varints(writer, at, tag, list, false, storeInt32);
}

export function writePackedSint32(
  writer: Writer,
  at: number,
  tag: number,
  list: readonly number[],
): number {
  return varints(writer, at, tag, list, true, storeSint32);
}

/** @param width the bytes that an element takes, or takes as a rule */
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
  const start = openLength(writer, at, tag, kept);
  const roomy = isRoomy(writer, start, count);
  let { bytes } = writer;
  let pos = start;
  for (let i = 0; i < count; i++) {
    if (!roomy) bytes = room(writer, pos, 10);
    pos = store(bytes, pos, list[i]!);
  }
  return closeLength(writer, start, pos, kept);
}

export function writePackedBool(
  writer: Writer,
  at: number,
  tag: number,
  list: readonly boolean[],
): number {
  const count = list.length;
  let pos = putTag(writer, at, tag);
  const bytes = room(writer, pos, count + 5);
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
