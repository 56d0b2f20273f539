import type { Strategy } from "./strategy.ts";

/**
 * The node with the fewest calls of this process that it has not answered yet; of several, the one whose
 * last call is the longest ago. It looks at every node for each call.
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
