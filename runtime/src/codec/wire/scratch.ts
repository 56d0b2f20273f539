/**
 * Eight bytes for converting numbers. Typed arrays over them are about ten times as fast as a
 * DataView. Each use ends before another begins, so one is enough.
 */
export const words: Int32Array = /*@__PURE__*/ new Int32Array(2);
export const floats: Float32Array = /*@__PURE__*/ new Float32Array(words.buffer, 0, 1);
export const doubles: Float64Array = /*@__PURE__*/ new Float64Array(words.buffer);
export const longs: BigInt64Array = /*@__PURE__*/ new BigInt64Array(words.buffer);
export const unsignedLongs: BigUint64Array = /*@__PURE__*/ new BigUint64Array(words.buffer);

/** The index of the word that holds the low half of eight bytes on this machine. */
export const low: number = /*@__PURE__*/ lowWord();
export const high: number = 1 - low;

function lowWord(): number {
  longs[0] = 1n;
  return 1 - words[0]!;
}
