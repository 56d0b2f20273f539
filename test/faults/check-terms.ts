/**
 * A period in which a process held a lock or led, from its own view, on one monotonic clock, in
 * milliseconds.
 */
export interface Term {
  /** The lock's token, or the leader's epoch. */
  readonly token: number;
  readonly from: number;
  /** When the holder learned of its end, released it, or was killed. */
  readonly to: number;
}

export interface TermFigures {
  readonly terms: number;
  /** Terms that began before an earlier one had ended. */
  readonly overlaps: number;
  /** Terms whose token is not larger than all previous ones. */
  readonly staleTokens: number;
  /** The least time between the end of a term and the beginning of the next, in milliseconds. */
  readonly shortestGapMs: number;
}

/** Looks for two holders at once, and for tokens that do not increase. */
export function checkTerms(terms: readonly Term[]): TermFigures {
  let overlaps = 0;
  let staleTokens = 0;
  let shortestGapMs = Number.POSITIVE_INFINITY;
  let end = Number.NEGATIVE_INFINITY;
  let largest = Number.NEGATIVE_INFINITY;
  for (const { token, from, to } of [...terms].sort((a, b) => a.from - b.from)) {
    if (from < end) overlaps++;
    if (token <= largest) staleTokens++;
    shortestGapMs = Math.min(shortestGapMs, from - end);
    end = Math.max(end, to);
    largest = Math.max(largest, token);
  }
  return { terms: terms.length, overlaps, staleTokens, shortestGapMs };
}

/** The monotonic clock that all processes of a machine share, in milliseconds. */
export function machineNow(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}
