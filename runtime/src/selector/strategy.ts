import type { Candidate } from "./selector.ts";

/** A candidate with everything that a strategy may judge it by. */
export interface RatedCandidate extends Candidate {
  /** Number of the selection that last chose it; at most 0 if none did. */
  readonly lastSelection: number;
  /**
   * Recent response time, in milliseconds: the peak, which decays towards newer responses. 0 until
   * there are enough responses.
   * @param now the time that was passed to {@link Strategy.pick}.
   */
  latencyMs(now: number): number;
}

/**
 * Picks one of the nodes that may take a call. A strategy is stateless: its state is kept on the
 * candidates, so one strategy serves every service and every filter.
 */
export interface Strategy {
  /** Such as `round-robin`. */
  readonly name: string;
  /**
   * @param candidates never empty.
   * @param random the selector's random source, from 0 up to but excluding 1.
   * @param now milliseconds on the clock of {@link RatedCandidate.latencyMs}.
   */
  pick(candidates: readonly RatedCandidate[], random: () => number, now: number): RatedCandidate;
}
