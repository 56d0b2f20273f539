/**
 * UTF-8 ↔ string, by the fastest way that the platform has. Node's own methods of Buffer work on any
 * Uint8Array, without a view of the part to read or write; elsewhere the Encoding API does it.
 */

interface NodeText {
  utf8Slice?(this: Uint8Array, start: number, end: number): string;
  utf8Write?(this: Uint8Array, text: string, offset: number, length: number): number;
}

const node: NodeText | undefined = /*@__PURE__*/ nodeText();

function nodeText(): NodeText | undefined {
  const buffer = (globalThis as { Buffer?: { prototype?: NodeText } }).Buffer?.prototype;
  return typeof buffer?.utf8Slice === "function" && typeof buffer.utf8Write === "function"
    ? buffer
    : undefined;
}

// A leading U+FEFF in a protobuf string is text, not a byte order mark.
const strict = /*@__PURE__*/ new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const lenient = /*@__PURE__*/ new TextDecoder("utf-8", { ignoreBOM: true });
const encoder = /*@__PURE__*/ new TextEncoder();

const slice = node?.utf8Slice;
const write = node?.utf8Write;

/** Decodes UTF-8; what is not valid becomes U+FFFD. */
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
        // U+FFFD may have been sent; only then is a second look needed.
        return text.includes("\uFFFD") ? strict.decode(bytes.subarray(start, end)) : text;
      };

/**
 * Encodes into `target`, which has room for it, and returns the number of bytes. A lone surrogate becomes
 * U+FFFD.
 */
export const encodeText: (text: string, target: Uint8Array, offset: number) => number =
  write === undefined
    ? (text, target, offset) => encoder.encodeInto(text, target.subarray(offset)).written
    : (text, target, offset) =>
        write.call(target, text, offset, Math.min(text.length * 3, target.length - offset));

/** The number of bytes that a text takes. */
export function textLength(text: string): number {
  let length = text.length;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code < 0x80) continue;
    length += code < 0x800 ? 1 : 2;
    // A pair takes four bytes; a surrogate without its other half is written as U+FFFD, three bytes.
    if (code >= 0xd800 && code < 0xdc00 && (text.charCodeAt(i + 1) & 0xfc00) === 0xdc00) i++;
  }
  return length;
}
