/** The fate of events, from the ledgers of publishers and handlers. */
export interface DeliveryFigures {
  readonly acked: number;
  /** Published and acknowledged, and never handled. */
  readonly lost: number;
  /** Handled, and never published. */
  readonly unknown: number;
  /** Handlings beyond the first of each event. */
  readonly duplicates: number;
  /** Handled, although publishing was reported as failed; allowed if the outcome was "unknown". */
  readonly unsure: number;
  /** Handled, although the publisher got an error that it was certainly not published. */
  readonly contradicted: number;
}

/** What a publisher knows about its events. */
export interface Published {
  readonly acked: ReadonlySet<string>;
  /** Publishing failed, and may have happened. */
  readonly unsure: ReadonlySet<string>;
  /** Publishing failed, and certainly did not happen. */
  readonly refused: ReadonlySet<string>;
}

/** Compares what was published with what was handled. */
export function checkDelivery(published: Published, handled: readonly string[]): DeliveryFigures {
  const seen = new Set(handled);
  const count = (ids: Iterable<string>, test: (id: string) => boolean) =>
    [...ids].filter(test).length;
  return {
    acked: published.acked.size,
    lost: count(published.acked, (id) => !seen.has(id)),
    unknown: count(
      seen,
      (id) => !published.acked.has(id) && !published.unsure.has(id) && !published.refused.has(id),
    ),
    duplicates: handled.length - seen.size,
    unsure: count(published.unsure, (id) => seen.has(id)),
    contradicted: count(published.refused, (id) => seen.has(id)),
  };
}
