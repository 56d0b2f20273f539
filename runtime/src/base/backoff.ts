/** Waits that grow with each failure, with jitter so that many clients spread out. */
export interface Backoff {
  /** The first wait, in milliseconds. */
  readonly firstMs: number;
  /** The factor by which each further wait grows. */
  readonly factor: number;
  /** The longest wait before jitter, in milliseconds. */
  readonly mostMs: number;
  /** The fraction of a wait that jitter adds or subtracts. */
  readonly jitter: number;
}

/**
 * The wait after the nth failure, counted from 1, in milliseconds.
 * @param random returns a number from 0 up to but excluding 1.
 */
export function backoffMs(backoff: Backoff, failures: number, random: () => number): number {
  const { firstMs, factor, mostMs, jitter } = backoff;
  const wait = Math.min(mostMs, firstMs * factor ** (failures - 1));
  return wait * (1 - jitter + random() * 2 * jitter);
}
