import type { UnknownField } from "@bufbuild/protobuf";
import { bytesOf, doubleOf, floatOf, int32Of, textOf, uint32Of } from "./coercion.ts";
import {
  putDouble,
  putFixed64,
  putFloat,
  putFour,
  putInt32,
  putInt64,
  putSfixed64,
  putSint64,
  putUint64,
  putVarint,
} from "./put.ts";
import { encodeText, textLength } from "./text.ts";

/** Writes a message's fields. Generated code has one for each type. */
export type WriteMessage<M> = (message: M, writer: Writer) => void;

/** Up to this length, a loop over ASCII beats a call into the platform. */
const shortText = 24;

/**
 * Writes fields in protobuf's binary format into a buffer; generated codecs drive it. A tag is a field's
 * number and wire type in one.
 *
 * Nothing here looks whether the buffer has room: stores behind the end of a Uint8Array have no effect, and
 * the position moves on all the same. Comparing it with the buffer's length at the end tells both whether
 * the message fits and how much it needs.
 */
export class Writer {
  bytes: Uint8Array;
  pos: number;

  constructor(bytes: Uint8Array, pos: number) {
    this.bytes = bytes;
    this.pos = pos;
  }

  tag(tag: number): void {
    this.pos = putVarint(this.bytes, this.pos, tag);
  }

  int32(tag: number, value: number): void {
    const bytes = this.bytes;
    const checked = (value | 0) === value ? value : int32Of(value);
    this.pos = putInt32(bytes, putVarint(bytes, this.pos, tag), checked);
  }

  uint32(tag: number, value: number): void {
    const bytes = this.bytes;
    const checked = value >>> 0 === value ? value : uint32Of(value);
    this.pos = putVarint(bytes, putVarint(bytes, this.pos, tag), checked);
  }

  sint32(tag: number, value: number): void {
    const bytes = this.bytes;
    const checked = (value | 0) === value ? value : int32Of(value);
    const zigzag = ((checked << 1) ^ (checked >> 31)) >>> 0;
    this.pos = putVarint(bytes, putVarint(bytes, this.pos, tag), zigzag);
  }

  bool(tag: number, value: boolean): void {
    const bytes = this.bytes;
    const pos = putVarint(bytes, this.pos, tag);
    bytes[pos] = value ? 1 : 0;
    this.pos = pos + 1;
  }

  int64(tag: number, value: bigint | string): void {
    const bytes = this.bytes;
    this.pos = putInt64(bytes, putVarint(bytes, this.pos, tag), value);
  }

  uint64(tag: number, value: bigint | string): void {
    const bytes = this.bytes;
    this.pos = putUint64(bytes, putVarint(bytes, this.pos, tag), value);
  }

  sint64(tag: number, value: bigint | string): void {
    const bytes = this.bytes;
    this.pos = putSint64(bytes, putVarint(bytes, this.pos, tag), value);
  }

  fixed32(tag: number, value: number): void {
    const bytes = this.bytes;
    const checked = value >>> 0 === value ? value : uint32Of(value);
    this.pos = putFour(bytes, putVarint(bytes, this.pos, tag), checked);
  }

  sfixed32(tag: number, value: number): void {
    const bytes = this.bytes;
    const checked = (value | 0) === value ? value : int32Of(value);
    this.pos = putFour(bytes, putVarint(bytes, this.pos, tag), checked);
  }

  fixed64(tag: number, value: bigint | string): void {
    const bytes = this.bytes;
    this.pos = putFixed64(bytes, putVarint(bytes, this.pos, tag), value);
  }

  sfixed64(tag: number, value: bigint | string): void {
    const bytes = this.bytes;
    this.pos = putSfixed64(bytes, putVarint(bytes, this.pos, tag), value);
  }

  float(tag: number, value: number): void {
    const bytes = this.bytes;
    this.pos = putFloat(bytes, putVarint(bytes, this.pos, tag), floatOf(value));
  }

  double(tag: number, value: number): void {
    const bytes = this.bytes;
    const checked = typeof value === "number" ? value : doubleOf(value);
    this.pos = putDouble(bytes, putVarint(bytes, this.pos, tag), checked);
  }

  string(tag: number, value: string): void {
    const bytes = this.bytes;
    const start = putVarint(bytes, this.pos, tag);
    const text = typeof value === "string" ? value : textOf(value);
    const length = text.length;
    if (length <= shortText) {
      let pos = start;
      bytes[pos++] = length;
      let i = 0;
      for (; i < length; i++) {
        const code = text.charCodeAt(i);
        if (code > 0x7f) break;
        bytes[pos++] = code;
      }
      if (i === length) {
        this.pos = pos;
        return;
      }
    }
    this.pos = putText(bytes, start, text);
  }

  blob(tag: number, value: Uint8Array): void {
    const bytes = this.bytes;
    const data = bytesOf(value);
    const pos = putVarint(bytes, putVarint(bytes, this.pos, tag), data.length);
    this.pos = pos;
    this.raw(data);
  }

  /** Bytes as they are. */
  raw(data: Uint8Array): void {
    const end = this.pos + data.length;
    if (end <= this.bytes.length) this.bytes.set(data, this.pos);
    this.pos = end;
  }

  /** Begins something with a length, which is not known yet. Returns what {@link close} takes. */
  open(tag: number): number {
    const start = putVarint(this.bytes, this.pos, tag) + 1;
    this.pos = start;
    return start;
  }

  /** Ends what has a length. One byte was kept for it; a longer length moves the contents. */
  close(start: number): void {
    const bytes = this.bytes;
    const length = this.pos - start;
    if (length < 0x80) {
      bytes[start - 1] = length;
      return;
    }
    const more = varintSize(length) - 1;
    if (this.pos + more <= bytes.length) bytes.copyWithin(start + more, start, this.pos);
    putVarint(bytes, start - 1, length);
    this.pos += more;
  }

  /** The fields that were kept because their message does not have them. */
  unknown(fields: readonly UnknownField[]): void {
    for (const { no, wireType, data } of fields) {
      this.tag(((no << 3) | wireType) >>> 0);
      this.raw(data);
    }
  }
}

/** The number of bytes that a varint of up to 32 bits takes. */
export function varintSize(value: number): number {
  if (value < 0x80) return 1;
  if (value < 0x4000) return 2;
  if (value < 0x200000) return 3;
  return value < 0x10000000 ? 4 : 5;
}

function putText(bytes: Uint8Array, start: number, text: string): number {
  const room = bytes.length - start;
  // No text takes more than three bytes for each of its units, and no length more than five.
  if (text.length * 3 + 5 > room) {
    const length = textLength(text);
    const pos = putVarint(bytes, start, length);
    if (pos + length <= bytes.length) encodeText(text, bytes, pos);
    return pos + length;
  }
  // Most text is ASCII, whose length in bytes is known before it is written.
  const guess = varintSize(text.length);
  const written = encodeText(text, bytes, start + guess);
  const size = varintSize(written);
  if (size !== guess) {
    bytes.copyWithin(start + size, start + guess, start + guess + written);
  }
  return putVarint(bytes, start, written) + written;
}
