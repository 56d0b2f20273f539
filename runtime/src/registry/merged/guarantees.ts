import type { Registry, RegistryGuarantees } from "../registry.ts";

const reaches = ["process", "host", "link", "backend"] as const;
const liveness = ["none", "process", "lease"] as const;

/**
 * What registries guarantee together: a registration has the widest reach of those that register,
 * and disappears as in the weakest of them.
 */
export function mergedGuarantees(members: readonly Registry[]): RegistryGuarantees {
  const all = members.map(({ guarantees }) => guarantees);
  const registering = all.filter(({ registers }) => registers !== false);
  const those = registering.length === 0 ? all : registering;
  return {
    registers: registering.length > 0,
    reach: reaches.findLast((level) => those.some(({ reach }) => reach === level)) ?? "process",
    consistency: all.every(({ consistency }) => consistency === "strong") ? "strong" : "eventual",
    liveness: liveness.find((level) => those.some((it) => it.liveness === level)) ?? "none",
  };
}
