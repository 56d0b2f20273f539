/**
 * What a candidate wrote down: that it began to lead, did something as leader, or was told that it does so no more. `at` is
 * on one monotonic clock, in milliseconds, and was taken before the candidate looked whether it leads; so at that time
 * it surely did, however long the machine let it wait before the line was written.
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
  /** Terms that began with an epoch that is not larger than all before. */
  readonly staleEpochs: number;
  /** Deeds of a leader at a time when one of a larger epoch had begun to lead: two leaders at once. */
  readonly doubleLeaders: number;
  /** Terms whose leader was told only after the next led, as happens to one that was paused; it did nothing meanwhile. */
  readonly toldLate: number;
}

/** Looks for two leaders at once by the rule that epochs give: who leads with a larger one has ended all terms before. */
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
