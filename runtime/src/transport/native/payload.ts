import type { AnyCodec } from "../../codec/codec.ts";
import { MicroError } from "../../error.ts";
import { Metadata } from "../../metadata.ts";
import { readUint16 } from "./frame-reader.ts";
import { maxCredit } from "./protocol.ts";

/** The part of a payload as the array that codecs take. It is a view; nobody writes to a payload. */
export function view(bytes: Uint8Array, start: number, end: number): Uint8Array {
  return new Uint8Array(bytes.buffer, bytes.byteOffset + start, end - start);
}

/**
 * The message in a part of a payload. A message that is small in its chunk gets bytes of its own, so that whoever
 * keeps it does not keep the chunk.
 */
export function decodeMessage(
  codec: AnyCodec,
  bytes: Uint8Array,
  start: number,
  end: number,
): unknown {
  const copyBytes = (end - start) * 2 < bytes.buffer.byteLength;
  return codec.decodeFrom === undefined
    ? codec.decode(view(bytes, start, end), copyBytes)
    : codec.decodeFrom(bytes, start, end, copyBytes);
}

/** Where a metadata block that begins at `start` with its length ends. */
export function blockEnd(bytes: Uint8Array, start: number, end: number): number {
  const at = start + 2;
  const blockEnds = at > end ? at : at + readUint16(bytes, start);
  if (blockEnds > end) {
    throw new MicroError("invalid_argument", "received a metadata block that is cut off");
  }
  return blockEnds;
}

/** The metadata of such a block. */
export function readMetadata(bytes: Uint8Array, start: number, end: number): Metadata {
  return Metadata.decode(view(bytes, start + 2, end));
}

/** @throws MicroError for an amount of credit that violates the protocol. */
export function checkCredit(bytes: number): void {
  if (bytes > 0 && bytes <= maxCredit) return;
  throw new MicroError("invalid_argument", `received credit of ${bytes} bytes`);
}
