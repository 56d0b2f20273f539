import type { Candidate } from "./selector.ts";

/** A candidate with all that a strategy may judge it by. */
export interface RatedCandidate extends Candidate {
  /** Number of the selection that took it last; at most 0 when none did. */
  readonly lastSelection: number;
  /**
   * What its answers took lately, in milliseconds: the peak, which fades towards newer answers. 0 while it
   * has not answered often enough to tell.
   * @param now the time that {@link Strategy.pick} was given.
   */
  latencyMs(now: number): number;
}

/**
 * Picks one of the nodes that may take a call. A strategy keeps nothing: what there is to remember stands on
 * the candidates, so one strategy serves every service and every filter.
 */
export interface Strategy {
  /** Such as `round-robin`. */
  readonly name: string;
  /**
   * @param candidates never empty.
   * @param random the selector's source of chance, from 0 up to but without 1.
   * @param now milliseconds on the clock of {@link RatedCandidate.latencyMs}.
   */
  pick(candidates: readonly RatedCandidate[], random: () => number, now: number): RatedCandidate;
}
