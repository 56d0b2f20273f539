import { type WriteMessage, Writer } from "./writer.ts";

/**
 * Small messages are carved out of one array after another, as Node's Buffer does it and with its size: an
 * array of its own would cost a message several times as much as encoding it.
 */
const slabSize = 8192;

/** What is larger gets an array of its own, so that little memory is held by one message. */
const largestCarved = slabSize / 4;

/** Where larger messages are written before they are copied out. It is kept up to this size. */
const largestKept = 1 << 20;

let slab: Uint8Array = /*@__PURE__*/ new Uint8Array(0);
let used = 0;
let spare: Uint8Array | undefined;

/**
 * Encodes a message into bytes that nobody else writes to.
 *
 * @param expectedSize decides where to begin, and costs no more than time when it is wrong
 */
export function encodeFresh<M>(
  write: WriteMessage<M>,
  message: M,
  expectedSize: number,
): Uint8Array {
  const carved = expectedSize <= largestCarved ? carve(write, message) : undefined;
  return carved ?? copyOut(write, message, expectedSize);
}

/** Encodes into the slab; undefined when the message is too large for that. */
function carve<M>(write: WriteMessage<M>, message: M): Uint8Array | undefined {
  const room = slab;
  const start = used;
  // All of it is taken until the size is known: a getter of the message may encode another one.
  used = room.length;
  const writer = new Writer(room, start);
  write(message, writer);
  const end = writer.pos;
  if (end - start <= largestCarved && end > room.length) {
    slab = new Uint8Array(slabSize);
    used = 0;
    return carve(write, message);
  }
  const fits = end <= room.length && end - start <= largestCarved;
  if (slab === room) used = fits ? end : start;
  return fits ? new Uint8Array(room.buffer, start, end - start) : undefined;
}

function copyOut<M>(write: WriteMessage<M>, message: M, expectedSize: number): Uint8Array {
  let room = spare ?? new Uint8Array(roomFor(expectedSize));
  spare = undefined;
  for (;;) {
    const writer = new Writer(room, 0);
    write(message, writer);
    if (writer.pos <= room.length) {
      if (room.length <= largestKept) spare = room;
      return room.slice(0, writer.pos);
    }
    room = new Uint8Array(roomFor(writer.pos));
  }
}

function roomFor(size: number): number {
  return Math.max(2 * slabSize, size + (size >>> 3));
}
