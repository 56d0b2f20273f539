import type { Strategy } from "./strategy.ts";

/**
 * One node after the other: the one whose last call is the longest ago. So the turn is right under any
 * filter, and a new node is next. It looks at every node for each call.
 */
export const roundRobin: Strategy = {
  name: "round-robin",
  pick(candidates) {
    let next = candidates[0]!;
    for (let index = 1; index < candidates.length; index++) {
      const candidate = candidates[index]!;
      if (candidate.lastSelection < next.lastSelection) next = candidate;
    }
    return next;
  },
};
