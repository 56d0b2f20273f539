/** A change that a member saw, at a time of a clock that all share. */
export interface Observation {
  readonly at: number;
  readonly observer: string;
  readonly subject: string;
  /** Whether it appeared or disappeared. */
  readonly present: boolean;
}

export interface MembershipFigures {
  /** Disappearances of members that were not killed by then. */
  readonly falseRemovals: number;
  /** Appearances of members that had been killed long enough before. */
  readonly resurrected: number;
  /** For each killed member, milliseconds until the last survivor knew; infinity if never. */
  readonly knownMs: readonly number[];
}

/**
 * Judges the observations of all members.
 * @param killed the times at which members were killed.
 * @param settledMs how long after its death a member may still appear somewhere.
 */
export function checkMembership(
  observations: readonly Observation[],
  killed: ReadonlyMap<string, number>,
  settledMs: number,
): MembershipFigures {
  const killedAt = (id: string) => killed.get(id) ?? Number.POSITIVE_INFINITY;
  const falseRemovals = observations.filter(
    ({ at, subject, present }) => !present && at < killedAt(subject),
  ).length;
  const resurrected = observations.filter(
    ({ at, subject, present }) => present && at > killedAt(subject) + settledMs,
  ).length;
  const observers = new Set(observations.map(({ observer }) => observer));
  const knownMs = [...killed].map(([subject, at]) => {
    const survivors = [...observers].filter((it) => it !== subject && !killed.has(it));
    const last = survivors.map((observer) => {
      const seen = observations.filter((it) => it.observer === observer && it.subject === subject);
      const final = seen.at(-1);
      return final === undefined || final.present ? Number.POSITIVE_INFINITY : final.at - at;
    });
    return Math.max(0, ...last);
  });
  return { falseRemovals, resurrected, knownMs };
}
