import type { UnknownField } from "@bufbuild/protobuf";
import { asciiText } from "./ascii.ts";
import { copyOf } from "./copies.ts";
import { doubles, floats, high, longs, low, unsignedLongs, words } from "./scratch.ts";
import { decodeStrictText, decodeText } from "./text.ts";

/** What the reader needs to know of a message to keep what it does not know. */
export interface UnknownFields {
  $unknown?: UnknownField[] | undefined;
}

/** Reads one message out of a reader into `message`, up to `end`. Generated code has one for each type. */
export type ReadMessage<M> = (message: M, reader: Reader, end: number, depth: number) => M;

/**
 * A cursor over the bytes of a message in protobuf's binary format; generated codecs drive it.
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
  #group = 0;
  #groupDepth = -1;
  #behindGroup = -1;

  constructor(bytes: Uint8Array, copies: boolean, start = 0, limit: number = bytes.length) {
    this.bytes = bytes;
    this.copies = copies;
    this.pos = start;
    this.limit = limit;
  }

  /** A field's number and wire type. Values that are none go to {@link unknown}, which refuses them. */
  tag(): number {
    const bytes = this.bytes;
    const first = bytes[this.pos]!;
    if (first < 0x80) {
      this.pos++;
      return first;
    }
    const second = bytes[this.pos + 1]!;
    if (second < 0x80) {
      this.pos += 2;
      return (first & 0x7f) | (second << 7);
    }
    return longVarint(this, 0x0f, "tag");
  }

  /** Reads a length, and returns where what it measures ends: not behind the end of what it is a part of. */
  length(end: number): number {
    const first = this.bytes[this.pos]!;
    let length = first;
    if (first < 0x80) this.pos++;
    else length = longVarint(this, 0x07, "length");
    const stop = this.pos + length;
    if (!(stop <= end)) throw tooLong(length, end - this.pos);
    return stop;
  }

  /** Reads the length of a nested message, and returns where it ends. */
  enter(end: number, depth: number): number {
    if (depth <= 0) throw tooDeep();
    return this.length(end);
  }

  /** Checks that a message ended where it had to. */
  leave(end: number): void {
    if (this.pos !== end) throw overrun(this, end);
  }

  int32(): number {
    return this.uint32() | 0;
  }

  uint32(): number {
    const bytes = this.bytes;
    let pos = this.pos;
    let byte = bytes[pos++]!;
    let value = byte & 0x7f;
    if (byte < 0x80) {
      this.pos = pos;
      return value;
    }
    byte = bytes[pos++]!;
    value |= (byte & 0x7f) << 7;
    if (byte < 0x80) {
      this.pos = pos;
      return value;
    }
    byte = bytes[pos++]!;
    value |= (byte & 0x7f) << 14;
    if (byte < 0x80) {
      this.pos = pos;
      return value;
    }
    byte = bytes[pos++]!;
    value |= (byte & 0x7f) << 21;
    if (byte < 0x80) {
      this.pos = pos;
      return value;
    }
    byte = bytes[pos++]!;
    value |= (byte & 0x0f) << 28;
    // What a 64-bit value has beyond 32 bits is dropped; ten bytes are the most that a varint has.
    for (let more = 5; byte >= 0x80 && more > 0; more--) byte = bytes[pos++]!;
    this.pos = pos;
    if (!(byte < 0x80)) throw badVarint(this);
    return value >>> 0;
  }

  sint32(): number {
    const value = this.uint32();
    return (value >>> 1) ^ -(value & 1);
  }

  bool(): boolean {
    const first = this.bytes[this.pos]!;
    if (first < 0x80) {
      this.pos++;
      return first !== 0;
    }
    readWords(this);
    return words[low] !== 0 || words[high] !== 0;
  }

  int64(): bigint {
    readWords(this);
    return longs[0]!;
  }

  uint64(): bigint {
    readWords(this);
    return unsignedLongs[0]!;
  }

  sint64(): bigint {
    readWords(this);
    const lower = words[low]!;
    const upper = words[high]!;
    const sign = -(lower & 1);
    words[low] = ((lower >>> 1) | (upper << 31)) ^ sign;
    words[high] = (upper >>> 1) ^ sign;
    return longs[0]!;
  }

  fixed32(): number {
    return this.sfixed32() >>> 0;
  }

  sfixed32(): number {
    const bytes = this.bytes;
    const pos = this.pos;
    this.pos = pos + 4;
    return bytes[pos]! | (bytes[pos + 1]! << 8) | (bytes[pos + 2]! << 16) | (bytes[pos + 3]! << 24);
  }

  float(): number {
    words[0] = this.sfixed32();
    return floats[0]!;
  }

  sfixed64(): bigint {
    words[low] = this.sfixed32();
    words[high] = this.sfixed32();
    return longs[0]!;
  }

  fixed64(): bigint {
    words[low] = this.sfixed32();
    words[high] = this.sfixed32();
    return unsignedLongs[0]!;
  }

  double(): number {
    words[low] = this.sfixed32();
    words[high] = this.sfixed32();
    return doubles[0]!;
  }

  /** A string, whose bytes must be valid UTF-8. */
  string(): string {
    const end = this.length(this.limit);
    const start = this.pos;
    this.pos = end;
    return asciiText(this.bytes, start, end) ?? decodeStrictText(this.bytes, start, end);
  }

  /** A string of a field that does not verify UTF-8: what is not valid becomes U+FFFD. */
  uncheckedString(): string {
    const end = this.length(this.limit);
    const start = this.pos;
    this.pos = end;
    return asciiText(this.bytes, start, end) ?? decodeText(this.bytes, start, end);
  }

  blob(): Uint8Array {
    const end = this.length(this.limit);
    const start = this.pos;
    this.pos = end;
    return this.part(start, end);
  }

  /** A part of the bytes, as `bytes` fields have it. */
  part(start: number, end: number): Uint8Array {
    if (this.copies) return copyOf(this.bytes, start, end);
    const { buffer, byteOffset } = this.bytes;
    // Of a Buffer, a subarray would be a Buffer too, which a message should not hold.
    return new Uint8Array(buffer, byteOffset + start, end - start);
  }

  /** Reads a message in the delimited encoding, which ends with a tag instead of having a length. */
  group<M>(read: ReadMessage<M>, message: M, number: number, end: number, depth: number): M {
    if (depth <= 0) throw tooDeep();
    const outer = this.#group;
    const outerDepth = this.#groupDepth;
    this.#group = number;
    this.#groupDepth = depth - 1;
    this.#behindGroup = -1;
    read(message, this, end, depth - 1);
    if (this.#behindGroup < 0) throw new Error(`group ${number} does not end`);
    this.pos = this.#behindGroup;
    this.#behindGroup = -1;
    this.#group = outer;
    this.#groupDepth = outerDepth;
    return message;
  }

  /** Where the fields of a message end that {@link group} reads, or else at `end`. The cursor stays. */
  contentsEnd(end: number, depth: number): number {
    if (this.#groupDepth !== depth) return end;
    const start = this.pos;
    while (this.pos < end) {
      const stop = this.pos;
      const tag = this.tag();
      if ((tag & 7) === 4) {
        this.pos = start;
        return stop;
      }
      this.skip(tag, end, depth);
    }
    throw new Error(`group ${this.#group} does not end`);
  }

  /** Keeps a field that the message's type does not have, as it came. */
  unknown(message: UnknownFields, tag: number, end: number, depth: number): void {
    if ((tag & 7) === 4) {
      if (this.#groupDepth !== depth || tag >>> 3 !== this.#group) throw strayEnd(tag);
      // The group's message stops here, as though its bytes had come to their end.
      this.#behindGroup = this.pos;
      this.pos = end;
      return;
    }
    const start = this.pos;
    this.skip(tag, end, depth);
    if (this.pos > end) throw overrun(this, end);
    this.keep(message, tag, this.part(start, this.pos));
  }

  /** Keeps a value that a closed enum does not have. */
  unknownEnum(message: UnknownFields, number: number, value: number): void {
    const data: number[] = [];
    // A negative value is sign-extended to 64 bits, which takes all ten bytes.
    let word = value;
    while ((word < 0 || word > 0x7f) && data.length < 9) {
      data.push((word & 0x7f) | 0x80);
      word >>= 7;
    }
    data.push(word < 0 ? 1 : word);
    this.keep(message, number << 3, new Uint8Array(data));
  }

  keep(message: UnknownFields, tag: number, data: Uint8Array): void {
    message.$unknown ??= [];
    message.$unknown.push({ no: tag >>> 3, wireType: tag & 7, data });
  }

  /** Moves behind a field's value. Groups in it may be nested as deeply as messages. */
  skip(tag: number, end: number, depth: number): void {
    if (tag >>> 3 === 0) throw new Error("there is no field number 0");
    switch (tag & 7) {
      case 0:
        readWords(this);
        return;
      case 1:
        this.pos += 8;
        return;
      case 2:
        this.pos = this.length(end);
        return;
      case 3:
        if (depth <= 0) throw tooDeep();
        skipGroup(this, tag, end, depth - 1);
        return;
      case 5:
        this.pos += 4;
        return;
      case 4:
        throw strayEnd(tag);
      default:
        throw new Error(`there is no wire type ${tag & 7}`);
    }
  }
}

function skipGroup(reader: Reader, start: number, end: number, depth: number): void {
  while (reader.pos < end) {
    const tag = reader.tag();
    // The end of a group has its number, and a wire type one above that of its start.
    if (tag === start + 1) return;
    reader.skip(tag, end, depth);
  }
  throw new Error(`group ${start >>> 3} does not end`);
}

/** Reads a varint of up to 64 bits into the words of the scratch. */
function readWords(reader: Reader): void {
  const bytes = reader.bytes;
  let pos = reader.pos;
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

/** A varint of at most five bytes, of which the last is at most `last`. */
function longVarint(reader: Reader, last: number, what: string): number {
  const start = reader.pos;
  const value = reader.uint32();
  const size = reader.pos - start;
  if (size > 5 || (size === 5 && reader.bytes[reader.pos - 1]! > last)) {
    throw new Error(`${what} is too large`);
  }
  return value;
}

function tooDeep(): Error {
  return new Error("messages are nested too deeply");
}

function tooLong(length: number, left: number): Error {
  return new Error(`a length of ${length} where ${Math.max(left, 0)} bytes are left`);
}

function overrun(reader: Reader, end: number): Error {
  return new Error(
    reader.pos > reader.limit
      ? "the bytes end within a field"
      : `a value ends at byte ${reader.pos}, behind its message, which ends at ${end}`,
  );
}

function badVarint(reader: Reader): Error {
  return new Error(
    reader.pos > reader.limit ? "the bytes end within a field" : "varint of over ten bytes",
  );
}

function strayEnd(tag: number): Error {
  return new Error(`end of group ${tag >>> 3}, which has not begun`);
}
