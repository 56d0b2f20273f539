import type { Strategy } from "./strategy.ts";

/**
 * Picks the least recently selected node, so that the order is right under any filter and a new
 * node is next. It examines every node for each call.
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
