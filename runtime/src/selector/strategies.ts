import { leastLoaded } from "./least-loaded.ts";
import { p2c } from "./p2c.ts";
import { random } from "./random.ts";
import { roundRobin } from "./round-robin.ts";
import type { Strategy } from "./strategy.ts";

/** Names of the strategies, for options and the environment. */
export type StrategyName = "random" | "round-robin" | "least-loaded" | "p2c";

/** The strategies by name. */
export const strategies: Readonly<Record<StrategyName, Strategy>> = {
  random,
  "round-robin": roundRobin,
  "least-loaded": leastLoaded,
  p2c,
};
