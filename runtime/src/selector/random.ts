import type { Strategy } from "./strategy.ts";

/** Picks a node at random, with equal probability. */
export const random: Strategy = {
  name: "random",
  pick: (candidates, chance) => candidates[Math.floor(chance() * candidates.length)]!,
};
