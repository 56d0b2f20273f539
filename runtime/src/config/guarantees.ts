import type { ConfigGuarantees, ConfigSource } from "./config.ts";

/** In ascending order. */
const reaches = ["process", "host", "backend"] as const;

/**
 * The guarantees of a configuration from these sources. @param kept whether last good values are
 * kept in a file.
 */
export function guaranteesOf(sources: readonly ConfigSource[], kept: boolean): ConfigGuarantees {
  const each = sources.map(({ guarantees }) => guarantees);
  return {
    reach: reaches.findLast((reach) => each.some((one) => one.reach === reach)) ?? "process",
    watch: each.some((one) => one.watch),
    consistency: each.some((one) => one.consistency === "value") ? "value" : "table",
    lastKnownGood: kept ? "restart" : "process",
  };
}
