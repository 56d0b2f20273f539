import type { Strategy } from "./strategy.ts";

/**
 * Picks the node with the fewest calls in flight from this process; ties go to the least recently
 * selected node. It examines every node for each call.
 */
export const leastLoaded: Strategy = {
  name: "least-loaded",
  pick(candidates) {
    let best = candidates[0]!;
    for (let index = 1; index < candidates.length; index++) {
      const candidate = candidates[index]!;
      if (
        candidate.inFlight < best.inFlight ||
        (candidate.inFlight === best.inFlight && candidate.lastSelection < best.lastSelection)
      ) {
        best = candidate;
      }
    }
    return best;
  },
};
