import type { Random } from "./random-message.ts";

/** Pieces of the wire format that say something where random bytes rarely do. */
const pieces: readonly (readonly number[])[] = [
  [0x00],
  [0x0b],
  [0x0c],
  [0x80, 0x00],
  [0xff, 0xff, 0xff, 0xff, 0x0f],
  [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
  [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
  [0x0a, 0x00],
  [0x0a, 0x02, 0x08, 0x01],
  [0xf8, 0x07, 0x05],
  [0xfa, 0x07, 0x02, 0x61, 0x62],
  [0xfb, 0x07, 0xfc, 0x07],
];

/**
 * Bytes with one to three changes: a bit, a byte, a piece put in, taken out or doubled, an end cut
 * off.
 */
export function mutated(bytes: Uint8Array, random: Random): Uint8Array {
  const result = [...bytes];
  for (let changes = 1 + random.below(3); changes > 0; changes--) {
    const at = random.below(result.length + 1);
    const length = 1 + random.below(6);
    switch (random.below(7)) {
      case 0:
        if (at < result.length) result[at] = result[at]! ^ (1 << random.below(8));
        break;
      case 1:
        if (at < result.length) result[at] = random.below(256);
        break;
      case 2:
        result.splice(at, length);
        break;
      case 3:
        result.splice(at, 0, ...result.slice(at, at + length));
        break;
      case 4:
        result.splice(at, 0, ...random.pick(pieces));
        break;
      case 5:
        result.length = at;
        break;
      default:
        if (at < result.length) result[at] = (result[at]! + (random.chance(50) ? 1 : 255)) & 0xff;
    }
  }
  return Uint8Array.from(result);
}
