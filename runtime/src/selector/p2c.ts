import type { RatedCandidate, Strategy } from "./strategy.ts";

/** More than any measured cost, so that a node which has not answered its first call waits for that answer. */
const unmeasuredCost = 1e12;

/**
 * The better of two nodes drawn at random (power of two choices), by what a call would cost there: peak
 * latency times calls in flight, as in Finagle's and Envoy's peak EWMA. It needs the same time for any number
 * of nodes, and clients that know the same do not all run to the same node. A new node gets one call, and
 * more when it has answered.
 */
export const p2c: Strategy = {
  name: "p2c",
  pick(candidates, random, now) {
    const count = candidates.length;
    if (count === 1) return candidates[0]!;
    const first = Math.floor(random() * count);
    let second = Math.floor(random() * (count - 1));
    if (second >= first) second++;
    const one = candidates[first]!;
    const other = candidates[second]!;
    return cost(other, now) < cost(one, now) ? other : one;
  },
};

function cost(candidate: RatedCandidate, now: number): number {
  const latencyMs = candidate.latencyMs(now);
  if (latencyMs > 0) return latencyMs * (candidate.inFlight + 1);
  return candidate.inFlight === 0 ? 0 : unmeasuredCost + candidate.inFlight;
}
