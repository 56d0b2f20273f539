import type { Goal } from "./goals.ts";
import type { Row } from "./table.ts";

/** What a feature that is used may cost, as calls a second beside those of a call that uses none. */
const leastShares = { deadline: 0.9, metadata: 0.9, signal: 0.9 } as const;

function share(one: string, other: string): Goal["measure"] {
  return (rows) => {
    const rate = (name: string) => rows.find((row: Row) => row.contender === name)?.perSecond;
    const dividend = rate(one);
    const divisor = rate(other);
    return dividend === undefined || divisor === undefined ? undefined : dividend / divisor;
  };
}

/** What features may cost: all of them together when none is used, and each of these when it is. */
export const ablationGoals: readonly Goal[] = [
  {
    what: "no feature, 128 in flight, of a runtime without their code",
    atLeast: 0.97,
    measure: share("nothing", "cut-out"),
  },
  ...Object.entries(leastShares).map(([feature, atLeast]) => ({
    what: `${feature}, 128 in flight, of a call without`,
    atLeast,
    measure: share(feature, "nothing"),
  })),
];
