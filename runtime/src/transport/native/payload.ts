import { MicroError } from "../../base/error.ts";
import { Metadata } from "../../base/metadata.ts";
import type { AnyCodec } from "../../codec/codec.ts";
import { decodeWithin } from "../../codec/message-elements.ts";
import { readUint16 } from "./frame-reader.ts";
import { maxCredit } from "./protocol.ts";

/** Returns part of a payload as a view for codecs. Payloads are never modified. */
export function view(bytes: Uint8Array, start: number, end: number): Uint8Array {
  return new Uint8Array(bytes.buffer, bytes.byteOffset + start, end - start);
}

/**
 * Decodes the message in part of a payload. A message that is small relative to its chunk is copied
 * first, so that keeping it does not keep the chunk.
 *
 * @param maxElements the most elements that the message may have
 */
export function decodeMessage(
  codec: AnyCodec,
  bytes: Uint8Array,
  start: number,
  end: number,
  maxElements: number,
): unknown {
  const copyBytes = (end - start) * 2 < bytes.buffer.byteLength;
  return decodeWithin(codec, bytes, start, end, copyBytes, maxElements);
}

/** Returns the end of a metadata block, which starts at `start` with its length. */
export function blockEnd(bytes: Uint8Array, start: number, end: number): number {
  const at = start + 2;
  const blockEnds = at > end ? at : at + readUint16(bytes, start);
  if (blockEnds > end) {
    throw new MicroError("invalid_argument", "received a metadata block that is cut off");
  }
  return blockEnds;
}

/** Reads the metadata of such a block. */
export function readMetadata(bytes: Uint8Array, start: number, end: number): Metadata {
  return Metadata.decode(view(bytes, start + 2, end));
}

/** @throws MicroError for an amount of credit that violates the protocol. */
export function checkCredit(bytes: number): void {
  if (bytes > 0 && bytes <= maxCredit) return;
  throw new MicroError("invalid_argument", `received credit of ${bytes} bytes`);
}
