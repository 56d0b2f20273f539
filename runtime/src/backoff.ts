/** Waits that grow from one failure to the next, each with chance in it so that many clients spread. */
export interface Backoff {
  /** The first wait, in milliseconds. */
  readonly firstMs: number;
  /** What each further wait is longer by. */
  readonly factor: number;
  /** The longest wait before chance, in milliseconds. */
  readonly mostMs: number;
  /** The part of a wait that chance adds or takes. */
  readonly jitter: number;
}

/**
 * The wait after the nth failure, from 1, in milliseconds.
 * @param random from 0 up to but without 1.
 */
export function backoffMs(backoff: Backoff, failures: number, random: () => number): number {
  const { firstMs, factor, mostMs, jitter } = backoff;
  const wait = Math.min(mostMs, firstMs * factor ** (failures - 1));
  return wait * (1 - jitter + random() * 2 * jitter);
}
