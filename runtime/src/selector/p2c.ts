import type { RatedCandidate, Strategy } from "./strategy.ts";

/**
 * The better of two nodes drawn at random (power of two choices), by what a call would cost there: peak
 * latency times calls in flight, as in Finagle's and Envoy's peak EWMA. It needs the same time for any number
 * of nodes, and clients that know the same do not all run to the same node.
 *
 * A node that has hardly answered yet is taken to be as fast as the one it is compared with. So a new node has
 * no more calls in flight than the others until it shows what it can do.
 */
export const p2c: Strategy = {
  name: "p2c",
  pick(candidates, random, now) {
    const count = candidates.length;
    if (count === 1) return candidates[0]!;
    const first = Math.floor(random() * count);
    let second = Math.floor(random() * (count - 1));
    if (second >= first) second++;
    return better(candidates[first]!, candidates[second]!, now);
  },
};

function better(one: RatedCandidate, other: RatedCandidate, now: number): RatedCandidate {
  const oneMs = one.latencyMs(now);
  const otherMs = other.latencyMs(now);
  const oneCost = (oneMs || otherMs || 1) * (one.inFlight + 1);
  const otherCost = (otherMs || oneMs || 1) * (other.inFlight + 1);
  return otherCost < oneCost ? other : one;
}
