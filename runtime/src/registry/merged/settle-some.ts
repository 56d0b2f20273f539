/** What became of one of several works; undefined while it is pending. */
export type Settled<T> = PromiseSettledResult<T> | undefined;

/** How long to wait for works that are slower than the first success, in milliseconds. */
const patienceMs = 2_000;
/** The same once a result suffices: then another one completes it, and none is needed. */
const sufficedPatienceMs = 250;

/** When {@link settleSome} stops waiting. */
export interface Patience<T> {
  /** Whether a result can be used without those of the others. Default: none can. */
  readonly suffices?: (value: T) => boolean;
  /** Whether not to wait for a pending work. */
  readonly isHopeless: (index: number) => boolean;
}

/**
 * Waits for all works, but no longer than two seconds after the first success, or a quarter of one
 * after the first that suffices. Never rejects.
 */
export function settleSome<T>(
  works: readonly Promise<T>[],
  { suffices = () => false, isHopeless }: Patience<T>,
): Promise<readonly Settled<T>[]> {
  const results: Settled<T>[] = works.map(() => undefined);
  return new Promise((resolve) => {
    const timers: NodeJS.Timeout[] = [];
    const done = () => {
      for (const timer of timers) clearTimeout(timer);
      resolve([...results]);
    };
    const settled = (index: number, result: PromiseSettledResult<T>) => {
      results[index] = result;
      const pending = [...results.keys()].filter((each) => results[each] === undefined);
      const hasSuccess = results.some((each) => each?.status === "fulfilled");
      if (pending.length === 0 || (hasSuccess && pending.every(isHopeless))) return done();
      if (result.status === "rejected") return;
      timers.push(setTimeout(done, suffices(result.value) ? sufficedPatienceMs : patienceMs));
    };
    for (const [index, work] of works.entries()) {
      work.then(
        (value) => settled(index, { status: "fulfilled", value }),
        (reason: unknown) => settled(index, { status: "rejected", reason }),
      );
    }
  });
}
