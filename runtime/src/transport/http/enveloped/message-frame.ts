import type { AnyCodec } from "../../../codec/codec.ts";

/** Bytes before a message: a flag and its length. */
export const prefixBytes = 5;
/** The flag of a compressed message. */
export const compressedFlag = 1;

const smallBytes = 4 * 1024;

/**
 * Holds the last message of {@link frameSmall}. Its bytes must be copied before the next one is
 * encoded.
 */
export const smallFrame: Uint8Array = new Uint8Array(Buffer.allocUnsafeSlow(smallBytes).buffer);

/**
 * Encodes a message with its prefix into {@link smallFrame}. Returns the length with the prefix; 0
 * if the message is too large, or its codec cannot do that.
 *
 * @throws what the codec throws for a message that is not valid
 */
export function frameSmall(codec: AnyCodec, message: unknown): number {
  const end = codec.encodeInto?.(message, smallFrame, prefixBytes) ?? Number.POSITIVE_INFINITY;
  if (end > smallBytes) return 0;
  writePrefix(smallFrame, 0, end - prefixBytes);
  return end;
}

/**
 * Encodes a message with its prefix into bytes of its own.
 *
 * @throws what the codec throws for a message that is not valid
 */
export function frameLarge(codec: AnyCodec, message: unknown): Uint8Array {
  return framed(0, codec.encode(message));
}

/** Copies an encoded message behind a prefix. */
export function framed(flags: number, message: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(prefixBytes + message.length);
  writePrefix(bytes, flags, message.length);
  bytes.set(message, prefixBytes);
  return bytes;
}

/** Writes the prefix of a message of this length. */
export function writePrefix(bytes: Uint8Array, flags: number, length: number): void {
  bytes[0] = flags;
  bytes[1] = length >>> 24;
  bytes[2] = length >>> 16;
  bytes[3] = length >>> 8;
  bytes[4] = length;
}
