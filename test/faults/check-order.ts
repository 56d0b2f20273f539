/** One of a sequence of events with the same key. */
export interface KeyedEvent {
  readonly key: string;
  /** Increases with each event of the key. */
  readonly sequence: number;
}

/**
 * Handlings of a key that came after the handling of a later event of that key, including
 * repetitions.
 */
export function countInversions(handled: readonly KeyedEvent[]): number {
  const last = new Map<string, number>();
  let inversions = 0;
  for (const { key, sequence } of handled) {
    const before = last.get(key) ?? Number.NEGATIVE_INFINITY;
    if (sequence < before) inversions++;
    else last.set(key, sequence);
  }
  return inversions;
}
