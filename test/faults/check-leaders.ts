/**
 * A line of a candidate's ledger: that it began to lead, did something as leader, or learned that
 * it no longer leads. `at` is on one monotonic clock, in milliseconds, and was taken before the
 * candidate checked whether it leads. So it certainly led at that time, however long the line took
 * to be written.
 */
export interface LeaderEntry {
  readonly kind: "leads" | "acts" | "told";
  readonly epoch: number;
  readonly candidate: number;
  readonly at: number;
}

export interface LeaderFigures {
  readonly terms: number;
  /** Epochs that two candidates had. */
  readonly sharedEpochs: number;
  /** Terms that began with an epoch that is not larger than all previous ones. */
  readonly staleEpochs: number;
  /** Actions of a leader after one with a larger epoch had begun to lead: two leaders at once. */
  readonly doubleLeaders: number;
  /**
   * Terms whose leader learned of their end only after the next one led, as happens to a paused
   * leader; it did nothing meanwhile.
   */
  readonly toldLate: number;
}

/**
 * Looks for two leaders at once, by the rule of epochs: a leader with a larger epoch has ended all
 * previous terms.
 */
export function checkLeaders(entries: readonly LeaderEntry[]): LeaderFigures {
  const terms = entries.filter(({ kind }) => kind === "leads").sort((a, b) => a.at - b.at);
  const candidates = new Map<number, Set<number>>();
  for (const { epoch, candidate } of entries) {
    candidates.set(epoch, (candidates.get(epoch) ?? new Set()).add(candidate));
  }
  let staleEpochs = 0;
  let largest = Number.NEGATIVE_INFINITY;
  for (const { epoch } of terms) {
    if (epoch <= largest) staleEpochs++;
    largest = Math.max(largest, epoch);
  }
  const isOver = ({ epoch, at }: LeaderEntry) =>
    terms.some((term) => term.epoch > epoch && term.at <= at);
  const count = (kinds: readonly LeaderEntry["kind"][]) =>
    entries.filter((entry) => kinds.includes(entry.kind) && isOver(entry)).length;
  return {
    terms: terms.length,
    sharedEpochs: [...candidates.values()].filter(({ size }) => size > 1).length,
    staleEpochs,
    doubleLeaders: count(["leads", "acts"]),
    toldLate: count(["told"]),
  };
}
