import type { UnknownField } from "@bufbuild/protobuf";
import { storeVarint } from "./store.ts";

/**
 * Writes a message's fields from a position on, and returns the position behind them. Generated code has one for
 * each type.
 */
export type WriteMessage<M> = (message: M, writer: Writer, at: number) => number;

/**
 * The buffer that fields are written to in protobuf's binary format; generated codecs drive it. What writes to it
 * are functions and not methods, so that a bundle has none but those which its messages need; each takes the
 * position at which to write, and returns the one behind what it wrote, so that positions stay in registers.
 *
 * Each field makes sure of enough room once, for the most that it can take, so that no store ever misses the
 * buffer: an engine that has seen one do so makes all of them slower. Where room is lacking, writing goes on in a
 * larger buffer, at the same position.
 */
export class Writer {
  bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }
}

/** The buffer, with room up to a position. So small that the engine has it wherever it is called. */
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

/** Writes a tag, which is a field's number and wire type in one. */
export function putTag(writer: Writer, at: number, tag: number): number {
  return storeVarint(room(writer, at + 5), at, tag);
}

/**
 * Begins something with a length, which is not known yet and is taken to need one byte. Returns where its contents begin.
 */
export function openLength(writer: Writer, at: number, tag: number): number {
  return storeVarint(room(writer, at + 6), at, tag) + 1;
}

/** Ends what has a length. A length that takes more than one byte moves the contents. */
export function closeLength(writer: Writer, start: number, end: number): number {
  const length = end - start;
  if (length >= 0x80) return closeKept(writer, start, end, 1);
  writer.bytes[start - 1] = length;
  return end;
}

/** Ends what has a length, for which `kept` bytes were kept; where it takes more or less, it moves the contents. */
export function closeKept(writer: Writer, start: number, end: number, kept: number): number {
  const length = end - start;
  const size = varintSize(length);
  const bytes = room(writer, end + 5);
  if (size !== kept) bytes.copyWithin(start - kept + size, start, end);
  storeVarint(bytes, start - kept, length);
  return end - kept + size;
}

/** Bytes as they are. */
export function putRaw(writer: Writer, at: number, data: Uint8Array): number {
  const { length } = data;
  const bytes = room(writer, at + length);
  // A call that copies costs more than copying so few.
  if (length > 24) bytes.set(data, at);
  else for (let i = 0; i < length; i++) bytes[at + i] = data[i]!;
  return at + length;
}

/** The fields that were kept because their message does not have them, if there are some. */
export function putUnknown(
  writer: Writer,
  at: number,
  fields: readonly UnknownField[] | undefined,
): number {
  return fields === undefined ? at : putFields(writer, at, fields);
}

function putFields(writer: Writer, at: number, fields: readonly UnknownField[]): number {
  let pos = at;
  for (const { no, wireType, data } of fields) {
    pos = putRaw(writer, putTag(writer, pos, ((no << 3) | wireType) >>> 0), data);
  }
  return pos;
}

/** The number of bytes that a varint of up to 32 bits takes. */
export function varintSize(value: number): number {
  if (value < 0x80) return 1;
  if (value < 0x4000) return 2;
  if (value < 0x200000) return 3;
  return value < 0x10000000 ? 4 : 5;
}
