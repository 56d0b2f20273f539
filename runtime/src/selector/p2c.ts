import type { RatedCandidate, Strategy } from "./strategy.ts";

/**
 * Picks the better of two nodes drawn at random (power of two choices), by the estimated cost of a
 * call: peak latency times calls in flight, as in Finagle's and Envoy's peak EWMA. Its cost does
 * not depend on the number of nodes, and clients with the same information do not all choose the
 * same node.
 *
 * A node with few responses so far is assumed to be as fast as the one it is compared with. So a
 * new node has no more calls in flight than the others until its latency is known.
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
