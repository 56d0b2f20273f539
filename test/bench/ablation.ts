import type { Goal } from "./goals.ts";
import type { Row } from "./table.ts";

/** What a feature that is used may cost, as calls a second beside those of a call that uses none. */
const leastShares = { deadline: 0.9, metadata: 0.9, signal: 0.9 } as const;

function shareOf(feature: string): Goal["measure"] {
  return (rows) => {
    const rate = (name: string) => rows.find((row: Row) => row.contender === name)?.perSecond;
    const used = rate(feature);
    const plain = rate("nothing");
    return used === undefined || plain === undefined ? undefined : used / plain;
  };
}

/** What one feature each may cost. */
export const ablationGoals: readonly Goal[] = Object.entries(leastShares).map(
  ([feature, atLeast]) => ({
    what: `${feature}, 128 in flight, of a call without`,
    atLeast,
    measure: shareOf(feature),
  }),
);
