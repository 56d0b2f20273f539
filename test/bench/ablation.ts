import type { Goal } from "./goals.ts";
import type { Row } from "./table.ts";

/** The least throughput of calls that use a feature, relative to calls that use none. */
const leastShares = { deadline: 0.9, metadata: 0.9, signal: 0.9, credential: 0.9 } as const;

function share(one: string, other: string): Goal["measure"] {
  return (rows) => {
    const rate = (name: string) => rows.find((row: Row) => row.contender === name)?.perSecond;
    const dividend = rate(one);
    const divisor = rate(other);
    return dividend === undefined || divisor === undefined ? undefined : dividend / divisor;
  };
}

/**
 * The allowed cost of features: of all of them together when unused, and of each of these when
 * used.
 */
export const ablationGoals: readonly Goal[] = [
  {
    what: "no feature, 128 in flight, of a runtime without their code",
    atLeast: 0.97,
    measure: share("nothing", "cut-out"),
  },
  {
    what: "no auth, 128 in flight, of a runtime without the step that admits callers",
    atLeast: 0.97,
    measure: share("nothing", "access-cut-out"),
  },
  ...Object.entries(leastShares).map(([feature, atLeast]) => ({
    what: `${feature}, 128 in flight, of a call without`,
    atLeast,
    measure: share(feature, "nothing"),
  })),
  {
    what: "a credential by gRPC, 128 in flight, of a call without",
    atLeast: 0.9,
    measure: share("grpc-credential", "grpc"),
  },
  {
    what: "the identity of a certificate, 128 in flight, of a call over TLS without",
    atLeast: 0.95,
    measure: share("certificate", "tls"),
  },
];
