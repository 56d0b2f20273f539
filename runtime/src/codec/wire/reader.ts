import type { UnknownField } from "@bufbuild/protobuf";
import { copyOf } from "./slab.ts";

/** The part of a message that the reader needs to keep unknown fields. */
export interface UnknownFields {
  $unknown?: UnknownField[] | undefined;
}

/** A field to be added to a message once everything is read. */
export type KeptField = readonly [message: UnknownFields, field: UnknownField];

/**
 * Reads one message from a reader into `message`, up to `end`. Generated code has one for each
 * type.
 */
export type ReadMessage<M> = (message: M, reader: Reader, end: number, depth: number) => M;

/**
 * A cursor over the bytes of a message in protobuf's binary format; generated codecs drive it. The
 * operations on it are functions and not methods, so that a bundle has only those that its messages
 * need.
 *
 * Steps do not check for the end of the bytes. Reading past it yields a value that is not a number
 * and only ever moves the cursor forward; {@link leave} detects it by comparing where a message
 * ended with where it should have. Depths count down: how many further messages may be nested.
 */
export class Reader {
  readonly bytes: Uint8Array;
  /** Whether `bytes` fields are copies of their part of {@link bytes} instead of views. */
  readonly copies: boolean;
  pos: number;
  /** The end of the outermost message. */
  readonly limit: number;
  /**
   * The group that is being read: its number, its depth, and the position after it once it has
   * ended.
   */
  group = 0;
  groupDepth = -1;
  behindGroup = -1;
  /**
   * The buffer that {@link bytes} is a view of, set on first use: the engine takes a while to
   * return it.
   */
  buffer: ArrayBufferLike | undefined;
  /** Reads doubles in a quarter of the time, in messages large enough to justify creating it. */
  readonly view: DataView | undefined;
  /**
   * How often `roomyMap` inspected a map in vain, if ever: encoders write the entries of a map one
   * after another.
   */
  declare fullMaps?: number;
  /** Unknown fields to be added to their messages, if there are any. */
  kept: KeptField[] | undefined;

  constructor(bytes: Uint8Array, copies: boolean, start: number, limit: number) {
    this.bytes = bytes;
    this.copies = copies;
    this.pos = start;
    this.limit = limit;
    // Reading that many bytes takes some two hundred times as long as creating this.
    if (limit - start > 4096) this.view = new DataView(bytes.buffer, bytes.byteOffset);
  }
}

/** A field's number and wire type. Invalid values go to `keepUnknown`, which rejects them. */
export function nextTag(reader: Reader): number {
  const { bytes, pos } = reader;
  const first = bytes[pos]!;
  if (first < 0x80) {
    reader.pos = pos + 1;
    return first;
  }
  const second = bytes[pos + 1]!;
  if (second < 0x80) {
    reader.pos = pos + 2;
    return (first & 0x7f) | (second << 7);
  }
  return longVarint(reader, 0x0f);
}

/** Moves past the next tag if it is this one. */
export function isNext(reader: Reader, end: number, tag: number): boolean {
  const { pos } = reader;
  if (pos < end && nextTag(reader) === tag) return true;
  reader.pos = pos;
  return false;
}

/**
 * Reads a length, and returns the end of what it measures, which is at most the end of the
 * enclosing part.
 */
export function endOf(reader: Reader, end: number): number {
  const { bytes, pos } = reader;
  let length = bytes[pos]!;
  if (length < 0x80) reader.pos = pos + 1;
  else length = longVarint(reader, 0x07);
  const stop = reader.pos + length;
  if (!(stop <= end)) throw tooLong(length, end - reader.pos);
  return stop;
}

/** Reads the length of a nested message, and returns its end. */
export function enter(reader: Reader, end: number, depth: number): number {
  if (depth <= 0) throw tooDeep();
  return endOf(reader, end);
}

/** Checks that a message ended where it should. */
export function leave(reader: Reader, end: number): void {
  if (reader.pos !== end) throw overrun(reader, end);
}

/** The low 32 bits of a varint. */
export function getUint32(reader: Reader): number {
  const { bytes } = reader;
  let { pos } = reader;
  let byte = bytes[pos++]!;
  let value = byte & 0x7f;
  if (byte < 0x80) {
    reader.pos = pos;
    return value;
  }
  byte = bytes[pos++]!;
  value |= (byte & 0x7f) << 7;
  if (byte < 0x80) {
    reader.pos = pos;
    return value;
  }
  byte = bytes[pos++]!;
  value |= (byte & 0x7f) << 14;
  if (byte < 0x80) {
    reader.pos = pos;
    return value;
  }
  byte = bytes[pos++]!;
  value |= (byte & 0x7f) << 21;
  if (byte < 0x80) {
    reader.pos = pos;
    return value;
  }
  byte = bytes[pos++]!;
  value |= (byte & 0x0f) << 28;
  // The bits of a 64-bit value beyond 32 are dropped; a varint has at most ten bytes.
  for (let more = 5; byte >= 0x80 && more > 0; more--) byte = bytes[pos++]!;
  reader.pos = pos;
  if (!(byte < 0x80)) throw badVarint(reader);
  return value >>> 0;
}

/** A part of the bytes, as `bytes` fields hold it. */
export function partOf(reader: Reader, start: number, end: number): Uint8Array {
  if (reader.copies) return copyOf(reader.bytes, start, end);
  // The subarray of a Buffer would be a Buffer too, which a message should not hold.
  reader.buffer ??= reader.bytes.buffer;
  return new Uint8Array(reader.buffer, reader.bytes.byteOffset + start, end - start);
}

/** A varint of at most five bytes, the last of which is at most `last`. */
function longVarint(reader: Reader, last: number): number {
  const start = reader.pos;
  const value = getUint32(reader);
  const size = reader.pos - start;
  if (size > 5 || (size === 5 && reader.bytes[reader.pos - 1]! > last)) {
    throw new Error("tag or length too large");
  }
  return value;
}

export function tooDeep(): Error {
  return new Error("nested too deeply");
}

function tooLong(length: number, left: number): Error {
  return new Error(`a length of ${length} where ${Math.max(left, 0)} bytes are left`);
}

export function overrun(reader: Reader, end: number): Error {
  return new Error(
    reader.pos > reader.limit
      ? "the bytes end within a field"
      : `a value ends ${reader.pos - end} bytes after its message`,
  );
}

export function badVarint(reader: Reader): Error {
  return reader.pos > reader.limit
    ? overrun(reader, reader.limit)
    : new Error("varint over ten bytes");
}
