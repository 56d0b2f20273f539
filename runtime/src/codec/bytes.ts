import { MicroError } from "../base/error.ts";
import type { Codec, Format } from "./codec.ts";

/** The content type of opaque bytes. */
export const bytesContentType = "application/octet-stream";

/** A codec that passes bytes through unchanged, for gateways and for payloads without a schema. */
export const bytesCodec: Codec<Uint8Array> = {
  typeName: "",
  contentType: bytesContentType,
  encode(message) {
    requireBytes(message);
    return message;
  },
  encodeInto(message, target, offset) {
    requireBytes(message);
    const end = offset + message.length;
    if (end <= target.length) target.set(message, offset);
    return end;
  },
  decodeFrom(bytes, start, end, copyBytes) {
    const part = new Uint8Array(bytes.buffer, bytes.byteOffset + start, end - start);
    return copyBytes ? new Uint8Array(part) : part;
  },
  decode: (bytes, copyBytes = false) => (copyBytes ? new Uint8Array(bytes) : bytes),
};

function requireBytes(message: unknown): void {
  if (message instanceof Uint8Array) return;
  throw new MicroError(
    "invalid_argument",
    `cannot send ${typeof message} as bytes: give a Uint8Array`,
    { outcome: "not-executed" },
  );
}

/**
 * Opaque bytes. The format contains only {@link bytesCodec}: a message cannot be turned into bytes
 * without a format.
 */
export const bytesFormat: Format = {
  contentType: bytesContentType,
  codecFor(codec) {
    if (codec.contentType === bytesContentType) return codec;
    throw new MicroError(
      "unimplemented",
      `${codec.typeName} has a schema; choose a format such as ${codec.contentType} instead of ${bytesContentType}`,
      { outcome: "not-executed" },
    );
  },
};
