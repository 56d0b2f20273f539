import type { Strategy } from "./strategy.ts";

/** Any node, each as likely as the others. */
export const random: Strategy = {
  name: "random",
  pick: (candidates, chance) => candidates[Math.floor(chance() * candidates.length)]!,
};
