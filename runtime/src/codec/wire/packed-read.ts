import type { Reader, UnknownFields } from "./reader.ts";

// Each reads a packed list behind its tag, and appends it to what is there: a list may come in several parts,
// packed or not.

// Made once and not for each list.
const uint32 = (reader: Reader): number => reader.uint32();
const int32 = (reader: Reader): number => reader.int32();
const sint32 = (reader: Reader): number => reader.sint32();
const bool = (reader: Reader): boolean => reader.bool();
const int64 = (reader: Reader): bigint => reader.int64();
const uint64 = (reader: Reader): bigint => reader.uint64();
const sint64 = (reader: Reader): bigint => reader.sint64();
const fixed32 = (reader: Reader): number => reader.fixed32();
const sfixed32 = (reader: Reader): number => reader.sfixed32();
const fixed64 = (reader: Reader): bigint => reader.fixed64();
const sfixed64 = (reader: Reader): bigint => reader.sfixed64();
const float = (reader: Reader): number => reader.float();
const double = (reader: Reader): number => reader.double();

/** A list whose elements a reader's method reads. */
export function readPacked<T>(
  reader: Reader,
  list: T[],
  end: number,
  next: (reader: Reader) => T,
): void {
  const stop = reader.length(end);
  while (reader.pos < stop) list.push(next(reader));
  reader.leave(stop);
}

/** Numbers of up to 14 bits are read in a loop that stays in registers, all others by the reader. */
function readVarints<T extends number>(
  reader: Reader,
  list: T[],
  end: number,
  next: (reader: Reader) => number,
): void {
  const stop = reader.length(end);
  const bytes = reader.bytes;
  while (reader.pos < stop) {
    let pos = reader.pos;
    while (pos < stop) {
      const first = bytes[pos]!;
      if (first < 0x80) {
        list.push(first as T);
        pos++;
        continue;
      }
      const second = bytes[pos + 1]!;
      if (!(second < 0x80)) break;
      list.push(((first & 0x7f) | (second << 7)) as T);
      pos += 2;
    }
    reader.pos = pos;
    if (pos < stop) list.push(next(reader) as T);
  }
  reader.leave(stop);
}

export function readPackedUint32(reader: Reader, list: number[], end: number): void {
  readVarints(reader, list, end, uint32);
}

export function readPackedInt32<E extends number>(reader: Reader, list: E[], end: number): void {
  readVarints(reader, list, end, int32);
}

export function readPackedSint32(reader: Reader, list: number[], end: number): void {
  readPacked(reader, list, end, sint32);
}

export function readPackedBool(reader: Reader, list: boolean[], end: number): void {
  readPacked(reader, list, end, bool);
}

export function readPackedInt64(reader: Reader, list: bigint[], end: number): void {
  readPacked(reader, list, end, int64);
}

export function readPackedUint64(reader: Reader, list: bigint[], end: number): void {
  readPacked(reader, list, end, uint64);
}

export function readPackedSint64(reader: Reader, list: bigint[], end: number): void {
  readPacked(reader, list, end, sint64);
}

export function readPackedFixed32(reader: Reader, list: number[], end: number): void {
  readPacked(reader, list, end, fixed32);
}

export function readPackedSfixed32(reader: Reader, list: number[], end: number): void {
  readPacked(reader, list, end, sfixed32);
}

export function readPackedFixed64(reader: Reader, list: bigint[], end: number): void {
  readPacked(reader, list, end, fixed64);
}

export function readPackedSfixed64(reader: Reader, list: bigint[], end: number): void {
  readPacked(reader, list, end, sfixed64);
}

export function readPackedFloat(reader: Reader, list: number[], end: number): void {
  readPacked(reader, list, end, float);
}

export function readPackedDouble(reader: Reader, list: number[], end: number): void {
  readPacked(reader, list, end, double);
}

/** A list of a closed enum: values that the enum does not have are kept as unknown fields. */
export function readPackedEnum<E extends number>(
  reader: Reader,
  list: E[],
  end: number,
  isKnown: (value: number) => value is E,
  message: UnknownFields,
  number: number,
): void {
  const stop = reader.length(end);
  while (reader.pos < stop) readEnum(reader, list, isKnown, message, number);
  reader.leave(stop);
}

/** An element of a list of a closed enum. */
export function readEnum<E extends number>(
  reader: Reader,
  list: E[],
  isKnown: (value: number) => value is E,
  message: UnknownFields,
  number: number,
): void {
  const value = reader.int32();
  if (isKnown(value)) list.push(value);
  else reader.unknownEnum(message, number, value);
}
