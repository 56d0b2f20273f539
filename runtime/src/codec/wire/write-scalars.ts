import { bytesOf, textOf } from "./coercion.ts";
import { encodeText } from "./text.ts";
import { storeVarint } from "./write-fixed.ts";
import { putRaw, room, varintSize, type Writer } from "./writer.ts";

// Each function writes a field of any length: its tag, which combines its number and wire type, and
// its value.

export function putBytes(writer: Writer, at: number, tag: number, value: Uint8Array): number {
  const data = bytesOf(value);
  const bytes = room(writer, at + 10);
  return putRaw(writer, storeVarint(bytes, storeVarint(bytes, at, tag), data.length), data);
}

/** Up to this length, a loop over ASCII beats a call into the platform. */
const shortText = 24;

export function putString(writer: Writer, at: number, tag: number, value: string): number {
  const text = typeof value === "string" ? value : textOf(value);
  const { length } = text;
  const { bytes } = writer;
  if (length <= shortText && at + 6 + length <= bytes.length) {
    const start = storeVarint(bytes, at, tag) + 1;
    bytes[start - 1] = length;
    let bits = 0;
    for (let i = 0; i < length; i++) {
      const code = text.charCodeAt(i);
      bytes[start + i] = code;
      bits |= code;
    }
    if (bits < 0x80) return start + length;
  }
  return putText(writer, at, tag, text);
}

/** Text of any length, with any characters, each unit of which takes at most three bytes. */
function putText(writer: Writer, at: number, tag: number, text: string): number {
  const bytes = room(writer, at + 10 + 3 * text.length);
  const start = storeVarint(bytes, at, tag);
  // Most text is ASCII, so its length in bytes is known before it is written.
  const guess = varintSize(text.length);
  const written = encodeText(text, bytes, start + guess);
  const size = varintSize(written);
  if (size !== guess) bytes.copyWithin(start + size, start + guess, start + guess + written);
  return storeVarint(bytes, start, written) + written;
}
