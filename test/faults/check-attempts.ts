/** How often events were tried, and their fate, compared with the expected one. */
export interface AttemptFigures {
  /** Poisonous events that were not tried exactly as often as allowed. */
  readonly wronglyTried: number;
  /**
   * Poisonous events that are not exactly once among the dead letters, and others that are there.
   */
  readonly wronglyBuried: number;
  /** Good events that were not handled exactly once. */
  readonly wronglyHandled: number;
}

/**
 * @param poison ids of events whose every handling fails; `good` those whose first succeeds.
 * @param tried ids of all handlings that were begun; `buried` ids of all dead letters.
 */
export function checkAttempts(
  poison: ReadonlySet<string>,
  good: ReadonlySet<string>,
  maxDeliveries: number,
  tried: readonly string[],
  buried: readonly string[],
): AttemptFigures {
  const tries = counted(tried);
  const burials = counted(buried);
  const wrong = (ids: Iterable<string>, is: (id: string) => boolean) => [...ids].filter(is).length;
  return {
    wronglyTried: wrong(poison, (id) => tries.get(id) !== maxDeliveries),
    wronglyBuried:
      wrong(poison, (id) => burials.get(id) !== 1) + wrong(burials.keys(), (id) => !poison.has(id)),
    wronglyHandled: wrong(good, (id) => tries.get(id) !== 1),
  };
}

function counted(ids: readonly string[]): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const id of ids) counts.set(id, (counts.get(id) ?? 0) + 1);
  return counts;
}
