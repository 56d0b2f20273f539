import { MicroError } from "../../error.ts";
import { Metadata } from "../../metadata.ts";
import { readUint16 } from "./frame-reader.ts";
import type { FrameWriter } from "./frame-writer.ts";

/** The part of a payload as the array that codecs take. It is a view; nobody writes to a payload. */
export function view(bytes: Uint8Array, start: number, end: number): Uint8Array {
  return new Uint8Array(bytes.buffer, bytes.byteOffset + start, end - start);
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

/** Writes a metadata block with its length, where there is one. */
export function writeMetadata(writer: FrameWriter, metadata: Metadata | undefined): void {
  if (metadata !== undefined) writer.block(metadata.encode());
}
