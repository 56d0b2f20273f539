/** Chance from 0 up to but without 1. */
export type Random = () => number;

/** A whole number from 0 up to but without `below`. */
export function integer(random: Random, below: number): number {
  return Math.floor(random() * below);
}

export function pick<T>(random: Random, items: readonly T[]): T {
  return items[integer(random, items.length)] as T;
}

/** Numbers at which length and limit checks go wrong. */
const edges: readonly number[] = [
  0,
  1,
  15,
  16,
  17,
  0x7f,
  0x80,
  0xff,
  0xffff,
  65_536,
  65_536 + 81_920,
  65_536 + 81_921,
  4_194_304,
  4_276_224,
  4_276_225,
  0x7fff_ffff,
  0x8000_0000,
  0xffff_ffff,
];

/**
 * Changes an input in one to five places: bits, bytes, numbers, and whole parts taken from others.
 */
export function mutate(random: Random, corpus: readonly Uint8Array[]): Uint8Array {
  let bytes = Buffer.from(pick(random, corpus));
  for (let changes = 1 + integer(random, 5); changes > 0; changes--) {
    bytes = change(random, bytes, corpus);
  }
  return bytes.subarray(0, 20_000);
}

function change(
  random: Random,
  bytes: Buffer<ArrayBuffer>,
  corpus: readonly Uint8Array[],
): Buffer<ArrayBuffer> {
  const at = integer(random, bytes.length + 1);
  const length = integer(random, Math.min(64, bytes.length - at + 1));
  switch (integer(random, 8)) {
    case 0:
      if (at < bytes.length) bytes[at]! ^= 1 << integer(random, 8);
      return bytes;
    case 1:
      if (at < bytes.length) bytes[at] = integer(random, 256);
      return bytes;
    case 2:
      if (at + 4 <= bytes.length) bytes.writeUInt32BE(pick(random, edges), at);
      return bytes;
    case 3:
      if (at + 2 <= bytes.length) bytes.writeUInt16BE(pick(random, edges) & 0xffff, at);
      return bytes;
    case 4:
      return Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + length)]);
    case 5:
      return Buffer.concat([bytes.subarray(0, at + length), bytes.subarray(at)]);
    case 6: {
      const other = pick(random, corpus);
      const from = integer(random, other.length + 1);
      return Buffer.concat([bytes.subarray(0, at), other.subarray(from)]);
    }
    default:
      return Buffer.concat([bytes, pick(random, corpus)]);
  }
}

/** The input in pieces: all at once, byte by byte, or as chance has it. */
export function segments(random: Random, bytes: Uint8Array): Uint8Array[] {
  const pieces: Uint8Array[] = [];
  const most = pick(random, [bytes.length + 1, bytes.length + 1, 1, 7, 40, 300]);
  for (let at = 0; at < bytes.length; ) {
    const end = Math.min(bytes.length, at + 1 + integer(random, most));
    // A copy, because a reader may keep views of what it is given.
    pieces.push(bytes.slice(at, end));
    at = end;
  }
  return pieces;
}
