import type { UnknownField } from "@bufbuild/protobuf";
import { storeVarint } from "./write-fixed.ts";

/**
 * Writes a message's fields at a position, and returns the position after them. Generated code has
 * one for each type.
 */
export type WriteMessage<M> = (message: M, writer: Writer, at: number) => number;

/**
 * The buffer that fields are written to in protobuf's binary format; generated codecs drive it. The
 * operations on it are functions and not methods, so that a bundle has only those that its messages
 * need. Each takes the position at which to write and returns the position after what it wrote, so
 * positions stay in registers.
 *
 * Each field reserves room once, for its largest size, so that no store ever misses the buffer: an
 * engine that has seen one miss makes all stores slower. When room runs out, writing continues in a
 * larger buffer, at the same position.
 */
export class Writer {
  bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }
}

/** The buffer, with room up to a position. Small enough that the engine inlines it everywhere. */
export function room(writer: Writer, end: number): Uint8Array {
  const { bytes } = writer;
  return end <= bytes.length ? bytes : grown(writer, end);
}

function grown(writer: Writer, end: number): Uint8Array {
  const { bytes } = writer;
  const larger = new Uint8Array(Math.max(2 * bytes.length, end, 1024));
  larger.set(bytes);
  writer.bytes = larger;
  return larger;
}

/** Writes a tag, which combines a field's number and wire type. */
export function putTag(writer: Writer, at: number, tag: number): number {
  return storeVarint(room(writer, at + 5), at, tag);
}

/**
 * Begins a length-delimited part, whose length is not known yet and assumed to take one byte.
 * Returns the start of its contents.
 */
export function openLength(writer: Writer, at: number, tag: number): number {
  return storeVarint(room(writer, at + 6), at, tag) + 1;
}

/** Ends a length-delimited part. A length that takes more than one byte moves the contents. */
export function closeLength(writer: Writer, start: number, end: number): number {
  const length = end - start;
  if (length >= 0x80) return closeKept(writer, start, end, 1);
  writer.bytes[start - 1] = length;
  return end;
}

/**
 * Ends a length-delimited part whose length has `kept` bytes reserved; if it takes more or fewer,
 * the contents move.
 */
export function closeKept(writer: Writer, start: number, end: number, kept: number): number {
  const length = end - start;
  const size = varintSize(length);
  const bytes = room(writer, end + 5);
  if (size !== kept) bytes.copyWithin(start - kept + size, start, end);
  storeVarint(bytes, start - kept, length);
  return end - kept + size;
}

/** Writes raw bytes. */
export function putRaw(writer: Writer, at: number, data: Uint8Array): number {
  const { length } = data;
  const bytes = room(writer, at + length);
  // For so few bytes, a call that copies costs more than a loop.
  if (length > 24) bytes.set(data, at);
  else for (let i = 0; i < length; i++) bytes[at + i] = data[i]!;
  return at + length;
}

/** Writes kept fields, if there are any; for code generated before {@link putKept}. */
export function putUnknown(
  writer: Writer,
  at: number,
  fields: readonly UnknownField[] | undefined,
): number {
  return fields === undefined ? at : putFields(writer, at, fields);
}

/**
 * Writes the fields that a message keeps because its type does not have them. Those of an
 * initializer, which has no type, are left out, as in protobuf-es' `create`.
 */
export function putKept(
  writer: Writer,
  at: number,
  message: { readonly $typeName?: string; readonly $unknown?: readonly UnknownField[] | undefined },
): number {
  // Generated code calls it only if there are any.
  return message.$typeName ? putFields(writer, at, message.$unknown!) : at;
}

function putFields(writer: Writer, at: number, fields: readonly UnknownField[]): number {
  let pos = at;
  for (const { no, wireType, data } of fields) {
    pos = putRaw(writer, putTag(writer, pos, ((no << 3) | wireType) >>> 0), data);
  }
  return pos;
}

/** The size of a varint of up to 32 bits, in bytes. */
export function varintSize(value: number): number {
  if (value < 0x80) return 1;
  if (value < 0x4000) return 2;
  if (value < 0x200000) return 3;
  return value < 0x10000000 ? 4 : 5;
}
