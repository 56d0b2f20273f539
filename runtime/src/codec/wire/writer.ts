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
 * Writes fields in protobuf's binary format; generated codecs drive it. A tag is a field's number and wire type
 * in one.
 *
 * Each field makes sure of enough room once, for the most that it can take, so that no store ever misses the
 * buffer: an engine that has seen one do so makes all of them slower. Where room is lacking, writing goes on in a
 * larger buffer, at the same position.
 */
export class Writer {
  bytes: Uint8Array;
  pos: number;

  constructor(bytes: Uint8Array, pos: number) {
    this.bytes = bytes;
    this.pos = pos;
  }

  /** The buffer, with room for so many bytes more. */
  room(size: number): Uint8Array {
    return this.pos + size <= this.bytes.length ? this.bytes : this.#grow(size);
  }

  #grow(size: number): Uint8Array {
    const larger = new Uint8Array(Math.max(2 * this.bytes.length, this.pos + size, 1024));
    larger.set(this.bytes.subarray(0, this.pos));
    this.bytes = larger;
    return larger;
  }

  tag(tag: number): void {
    this.pos = putVarint(this.room(5), this.pos, tag);
  }

  int32(tag: number, value: number): void {
    const bytes = this.room(15);
    const checked = (value | 0) === value ? value : int32Of(value);
    this.pos = putInt32(bytes, putVarint(bytes, this.pos, tag), checked);
  }

  uint32(tag: number, value: number): void {
    const bytes = this.room(10);
    const checked = value >>> 0 === value ? value : uint32Of(value);
    this.pos = putVarint(bytes, putVarint(bytes, this.pos, tag), checked);
  }

  sint32(tag: number, value: number): void {
    const bytes = this.room(10);
    const checked = (value | 0) === value ? value : int32Of(value);
    const zigzag = ((checked << 1) ^ (checked >> 31)) >>> 0;
    this.pos = putVarint(bytes, putVarint(bytes, this.pos, tag), zigzag);
  }

  bool(tag: number, value: boolean): void {
    const bytes = this.room(6);
    const pos = putVarint(bytes, this.pos, tag);
    bytes[pos] = value ? 1 : 0;
    this.pos = pos + 1;
  }

  int64(tag: number, value: bigint | string): void {
    const bytes = this.room(15);
    this.pos = putInt64(bytes, putVarint(bytes, this.pos, tag), value);
  }

  uint64(tag: number, value: bigint | string): void {
    const bytes = this.room(15);
    this.pos = putUint64(bytes, putVarint(bytes, this.pos, tag), value);
  }

  sint64(tag: number, value: bigint | string): void {
    const bytes = this.room(15);
    this.pos = putSint64(bytes, putVarint(bytes, this.pos, tag), value);
  }

  fixed32(tag: number, value: number): void {
    const bytes = this.room(9);
    const checked = value >>> 0 === value ? value : uint32Of(value);
    this.pos = putFour(bytes, putVarint(bytes, this.pos, tag), checked);
  }

  sfixed32(tag: number, value: number): void {
    const bytes = this.room(9);
    const checked = (value | 0) === value ? value : int32Of(value);
    this.pos = putFour(bytes, putVarint(bytes, this.pos, tag), checked);
  }

  fixed64(tag: number, value: bigint | string): void {
    const bytes = this.room(13);
    this.pos = putFixed64(bytes, putVarint(bytes, this.pos, tag), value);
  }

  sfixed64(tag: number, value: bigint | string): void {
    const bytes = this.room(13);
    this.pos = putSfixed64(bytes, putVarint(bytes, this.pos, tag), value);
  }

  float(tag: number, value: number): void {
    const bytes = this.room(9);
    this.pos = putFloat(bytes, putVarint(bytes, this.pos, tag), floatOf(value));
  }

  double(tag: number, value: number): void {
    const bytes = this.room(13);
    const checked = typeof value === "number" ? value : doubleOf(value);
    this.pos = putDouble(bytes, putVarint(bytes, this.pos, tag), checked);
  }

  string(tag: number, value: string): void {
    const text = typeof value === "string" ? value : textOf(value);
    const length = text.length;
    if (length > shortText) {
      putText(this, tag, text);
      return;
    }
    // Whatever is in a text, a unit of it takes three bytes at most.
    const bytes = this.room(10 + 3 * shortText);
    const start = putVarint(bytes, this.pos, tag);
    bytes[start] = length;
    let pos = start + 1;
    for (let i = 0; i < length; i++) {
      const code = text.charCodeAt(i);
      if (code > 0x7f) {
        putText(this, tag, text);
        return;
      }
      bytes[pos++] = code;
    }
    this.pos = pos;
  }

  blob(tag: number, value: Uint8Array): void {
    const data = bytesOf(value);
    const bytes = this.room(10 + data.length);
    const start = putVarint(bytes, putVarint(bytes, this.pos, tag), data.length);
    bytes.set(data, start);
    this.pos = start + data.length;
  }

  /** Bytes as they are. */
  raw(data: Uint8Array): void {
    this.room(data.length).set(data, this.pos);
    this.pos += data.length;
  }

  /** Begins something with a length, which is not known yet. Returns what {@link close} takes. */
  open(tag: number): number {
    const start = putVarint(this.room(6), this.pos, tag) + 1;
    this.pos = start;
    return start;
  }

  /** Ends what has a length. One byte was kept for it; a longer length moves the contents. */
  close(start: number): void {
    const length = this.pos - start;
    if (length < 0x80) {
      this.bytes[start - 1] = length;
      return;
    }
    const more = varintSize(length) - 1;
    const bytes = this.room(more);
    bytes.copyWithin(start + more, start, this.pos);
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

function putText(writer: Writer, tag: number, text: string): void {
  // The worst case is only made room for where it is there anyway; a long text is measured first.
  const { bytes, pos } = writer;
  const most = 10 + 3 * text.length;
  if (pos + most > bytes.length) writer.room(Math.min(most, 10 + textLength(text)));
  const target = writer.bytes;
  const start = putVarint(target, pos, tag);
  // Most text is ASCII, whose length in bytes is known before it is written.
  const guess = varintSize(text.length);
  const written = encodeText(text, target, start + guess);
  const size = varintSize(written);
  if (size !== guess) {
    target.copyWithin(start + size, start + guess, start + guess + written);
  }
  writer.pos = putVarint(target, start, written) + written;
}
