/**
 * Converts between UTF-8 and strings by the fastest means of the platform. Node's own Buffer
 * methods work on any Uint8Array, without a view of the part to read or write; elsewhere the
 * Encoding API does it.
 */

interface NodeText {
  utf8Slice?(this: Uint8Array, start: number, end: number): string;
  utf8Write?(this: Uint8Array, text: string, offset: number, length: number): number;
}

// A leading U+FEFF in a protobuf string is text, not a byte order mark.
const strict = /*@__PURE__*/ new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const lenient = /*@__PURE__*/ new TextDecoder("utf-8", { ignoreBOM: true });
const encoder = /*@__PURE__*/ new TextEncoder();

const { utf8Slice: slice, utf8Write: write }: NodeText =
  /*@__PURE__*/ (globalThis as { Buffer?: { prototype: NodeText } }).Buffer?.prototype ?? {};

/** Decodes UTF-8; invalid bytes become U+FFFD. */
export const decodeText: (bytes: Uint8Array, start: number, end: number) => string =
  slice === undefined
    ? (bytes, start, end) => lenient.decode(bytes.subarray(start, end))
    : (bytes, start, end) => slice.call(bytes, start, end);

/**
 * Decodes UTF-8.
 * @throws TypeError when it is not valid.
 */
export const decodeStrictText: (bytes: Uint8Array, start: number, end: number) => string =
  slice === undefined
    ? (bytes, start, end) => strict.decode(bytes.subarray(start, end))
    : (bytes, start, end) => {
        const text = slice.call(bytes, start, end);
        // U+FFFD may have been sent; only then is a second check needed.
        return text.includes("\uFFFD") ? strict.decode(bytes.subarray(start, end)) : text;
      };

/**
 * Encodes into `target`, which must have enough room, and returns the number of bytes. A lone
 * surrogate becomes U+FFFD.
 */
export const encodeText: (text: string, target: Uint8Array, offset: number) => number =
  write === undefined
    ? (text, target, offset) => encoder.encodeInto(text, target.subarray(offset)).written
    : (text, target, offset) =>
        write.call(target, text, offset, Math.min(text.length * 3, target.length - offset));
