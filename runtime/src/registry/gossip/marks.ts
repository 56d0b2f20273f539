/** The first byte of a datagram of this version. */
export const datagramMark = 0xa7;
/** The first byte of both sides of a stream of this version. */
export const streamMark = 0xa8;

/**
 * Whether a first byte is that of a later version: the second digit says what follows, and the
 * first one grows with the version.
 */
export function isLaterVersion(first: number | undefined, mark: number): boolean {
  return first !== undefined && first > mark && (first & 0x0f) === (mark & 0x0f);
}
