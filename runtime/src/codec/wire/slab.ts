import { viewDoubles } from "./write-fixed.ts";
import { type WriteMessage, Writer } from "./writer.ts";

/**
 * Small messages, and copies of bytes, are carved out of shared arrays, as in Node's Buffer and
 * with its size: an array of its own would cost a message several times as much as encoding it.
 */
const slabSize = 8192;

/** Anything larger gets an array of its own, so that one message keeps little memory alive. */
export const largestCarved: number = slabSize / 4;

/** V8 keeps arrays up to this size in its own heap; each larger one costs a system allocation. */
const smallestCarved = 64;

/**
 * The buffer in which larger messages are written before they are copied out. It is kept up to this
 * size.
 */
const largestKept = 1 << 20;

/** The room that fields may reserve at the end of a message beyond their needs. */
const margin = 128;

let slab: Uint8Array = /*@__PURE__*/ new Uint8Array(0);
let used = 0;
let spare: Uint8Array | undefined;

/** Ensures that this much of the slab is free. */
function free(size: number): void {
  if (used + size <= slab.length) return;
  slab = new Uint8Array(slabSize);
  used = 0;
}

/** A copy of a part of the bytes. Copies of medium size share an array, but no part of it. */
export function copyOf(bytes: Uint8Array, start: number, end: number): Uint8Array {
  const length = end - start;
  // The slice of a Buffer would be a Buffer too, and a view.
  if (length <= smallestCarved && bytes.constructor === Uint8Array) return bytes.slice(start, end);
  const part = new Uint8Array(bytes.buffer, bytes.byteOffset + start, length);
  if (length <= smallestCarved || length > largestCarved) return new Uint8Array(part);
  free(length);
  slab.set(part, used);
  used += length;
  return new Uint8Array(slab.buffer, used - length, length);
}

/**
 * Encodes a message into bytes that no other code writes to.
 *
 * @param expectedSize decides where to begin; a wrong value costs only time
 */
export function encodeFresh<M>(
  write: WriteMessage<M>,
  message: M,
  expectedSize: number,
): Uint8Array {
  return expectedSize <= largestCarved
    ? carve(write, message, expectedSize + margin)
    : copyOut(write, message, expectedSize + margin);
}

/** Encodes into the slab. A message that does not fit gets an array of its own. */
function carve<M>(write: WriteMessage<M>, message: M, size: number): Uint8Array {
  free(size);
  const room = slab;
  const start = used;
  // The whole slab is reserved until the size is known: a getter of the message may encode another
  // one.
  used = room.length;
  const writer = new Writer(room);
  const end = write(message, writer, start);
  const fits = writer.bytes === room && end - start <= largestCarved;
  if (slab === room) used = fits ? end : start;
  return fits ? new Uint8Array(room.buffer, start, end - start) : writer.bytes.slice(start, end);
}

function copyOut<M>(write: WriteMessage<M>, message: M, size: number): Uint8Array {
  const room = spare ?? new Uint8Array(Math.max(2 * slabSize, size));
  spare = undefined;
  viewDoubles(room);
  const writer = new Writer(room);
  const end = write(message, writer, 0);
  if (writer.bytes.length <= largestKept) spare = writer.bytes;
  return writer.bytes.slice(0, end);
}
