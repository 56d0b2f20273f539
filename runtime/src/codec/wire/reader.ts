import type { UnknownField } from "@bufbuild/protobuf";
import { copyOf } from "./slab.ts";

/** What the reader needs to know of a message to keep what it does not know. */
export interface UnknownFields {
  $unknown?: UnknownField[] | undefined;
}

/** A field that a message is going to get when all is read. */
export type KeptField = readonly [message: UnknownFields, field: UnknownField];

/** Reads one message out of a reader into `message`, up to `end`. Generated code has one for each type. */
export type ReadMessage<M> = (message: M, reader: Reader, end: number, depth: number) => M;

/**
 * A cursor over the bytes of a message in protobuf's binary format; generated codecs drive it. What reads from
 * it are functions and not methods, so that a bundle has none but those which its messages need.
 *
 * Nothing here checks for the end of the bytes at each step: what lies behind them reads as no number, only
 * ever moves the cursor forward, and shows when {@link leave} compares where a message ended with where it
 * had to. Depths count down: how many messages may still be nested.
 */
export class Reader {
  readonly bytes: Uint8Array;
  /** Whether `bytes` fields are copies of their part of {@link bytes} and not views of it. */
  readonly copies: boolean;
  pos: number;
  /** Where the outermost message ends. */
  readonly limit: number;
  /** The group that is being read: its number, its depth, and where to go on behind it once it has ended. */
  group = 0;
  groupDepth = -1;
  behindGroup = -1;
  /** What {@link bytes} are a view of, once somebody asked: the engine takes its time to say it. */
  buffer: ArrayBufferLike | undefined;
  /** Reads doubles in a quarter of the time, in messages so large that making it is worth while. */
  readonly view: DataView | undefined;
  /** How often `roomyMap` looked at a map in vain, if ever: encoders write the entries of a map one after another. */
  declare fullMaps?: number;
  /** The fields that messages are going to get because they do not know them, if there are some. */
  kept: KeptField[] | undefined;

  constructor(bytes: Uint8Array, copies: boolean, start: number, limit: number) {
    this.bytes = bytes;
    this.copies = copies;
    this.pos = start;
    this.limit = limit;
    // That many bytes take some two hundred times as long to read as this to make.
    if (limit - start > 4096) this.view = new DataView(bytes.buffer, bytes.byteOffset);
  }
}

/** A field's number and wire type. Values that are none go to `keepUnknown`, which refuses them. */
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

/** Moves behind the tag that comes next, if it is this one. */
export function isNext(reader: Reader, end: number, tag: number): boolean {
  const { pos } = reader;
  if (pos < end && nextTag(reader) === tag) return true;
  reader.pos = pos;
  return false;
}

/** Reads a length, and returns where what it measures ends: not behind the end of what it is a part of. */
export function endOf(reader: Reader, end: number): number {
  const { bytes, pos } = reader;
  let length = bytes[pos]!;
  if (length < 0x80) reader.pos = pos + 1;
  else length = longVarint(reader, 0x07);
  const stop = reader.pos + length;
  if (!(stop <= end)) throw tooLong(length, end - reader.pos);
  return stop;
}

/** Reads the length of a nested message, and returns where it ends. */
export function enter(reader: Reader, end: number, depth: number): number {
  if (depth <= 0) throw tooDeep();
  return endOf(reader, end);
}

/** Checks that a message ended where it had to. */
export function leave(reader: Reader, end: number): void {
  if (reader.pos !== end) throw overrun(reader, end);
}

/** A varint of which the low 32 bits count. */
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
  // What a 64-bit value has beyond 32 bits is dropped; ten bytes are the most that a varint has.
  for (let more = 5; byte >= 0x80 && more > 0; more--) byte = bytes[pos++]!;
  reader.pos = pos;
  if (!(byte < 0x80)) throw badVarint(reader);
  return value >>> 0;
}

/** A part of the bytes, as `bytes` fields have it. */
export function partOf(reader: Reader, start: number, end: number): Uint8Array {
  if (reader.copies) return copyOf(reader.bytes, start, end);
  // Of a Buffer, a subarray would be a Buffer too, which a message should not hold.
  reader.buffer ??= reader.bytes.buffer;
  return new Uint8Array(reader.buffer, reader.bytes.byteOffset + start, end - start);
}

/** A varint of at most five bytes, of which the last is at most `last`. */
function longVarint(reader: Reader, last: number): number {
  const start = reader.pos;
  const value = getUint32(reader);
  const size = reader.pos - start;
  if (size > 5 || (size === 5 && reader.bytes[reader.pos - 1]! > last)) {
    throw new Error("a tag or length is too large");
  }
  return value;
}

export function tooDeep(): Error {
  return new Error("messages are nested too deeply");
}

function tooLong(length: number, left: number): Error {
  return new Error(`a length of ${length} where ${Math.max(left, 0)} bytes are left`);
}

export function overrun(reader: Reader, end: number): Error {
  return new Error(
    reader.pos > reader.limit
      ? "the bytes end within a field"
      : `a value ends at byte ${reader.pos}, its message at ${end}`,
  );
}

export function badVarint(reader: Reader): Error {
  return reader.pos > reader.limit
    ? overrun(reader, reader.limit)
    : new Error("varint of over ten bytes");
}
