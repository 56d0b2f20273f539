import type { BrokerGuarantees } from "./broker/broker.ts";
import { MicroError } from "./error.ts";
import type { RegistryGuarantees } from "./registry/registry.ts";
import type { StoreGuarantees } from "./store/store.ts";
import type { SyncGuarantees } from "./sync/sync.ts";

/** What is asked of one part: of each guarantee at least this. */
export type PartRequirements<G> = { readonly [K in keyof G]?: G[K] };

/** What the parts of a service have to promise. */
export interface Requirements {
  readonly registry?: PartRequirements<RegistryGuarantees>;
  readonly broker?: PartRequirements<BrokerGuarantees>;
  readonly store?: PartRequirements<StoreGuarantees>;
  readonly sync?: PartRequirements<SyncGuarantees>;
}

/** Guarantees in which a later level includes those before it. Others have to be met exactly. */
const levels: Readonly<Record<string, readonly string[]>> = {
  "broker.delivery": ["at-most-once", "at-least-once"],
  "broker.overflow": ["drop", "block"],
  "registry.reach": ["process", "host", "link", "backend"],
  "registry.consistency": ["eventual", "strong"],
  "registry.liveness": ["process", "lease"],
  "store.reads": ["eventual", "read-your-writes", "linearizable"],
  "store.sharing": ["process", "host", "backend"],
  "sync.reach": ["process", "host", "backend"],
  "sync.fairness": ["process", "fifo"],
};
const durability: readonly string[] = ["none", "process-crash", "power-loss"];

interface Part {
  readonly name: string;
  readonly guarantees: object;
}

/**
 * Holds the parts of a service to what is required of them.
 * @throws MicroError `failed_precondition` that names every part that promises less, what is wanted and what it
 * gives; `invalid_argument` for a part or a guarantee that there is none of.
 */
export function checkRequirements(
  service: string,
  parts: { readonly [P in keyof Requirements]-?: Part },
  required: Requirements,
): void {
  const missed: string[] = [];
  for (const [kind, wanted] of Object.entries(required)) {
    if (!Object.hasOwn(known, kind)) {
      throw new MicroError(
        "invalid_argument",
        `service ${service} requires something of ${kind}; requirements are for ${Object.keys(known).join(", ")}`,
        { outcome: "not-executed" },
      );
    }
    const { name, guarantees } = parts[kind as keyof Requirements];
    for (const [guarantee, least] of Object.entries(wanted ?? {})) {
      if (least === undefined) continue;
      const given = (guarantees as Record<string, unknown>)[guarantee];
      if (given === undefined) {
        throw new MicroError(
          "invalid_argument",
          `service ${service} requires ${guarantee} of its ${kind}; a ${kind} has ${Object.keys(guarantees).join(", ")}`,
          { outcome: "not-executed" },
        );
      }
      if (!suffices(`${kind}.${guarantee}`, given, least)) {
        missed.push(
          `${kind}.${guarantee}: wanted ${least}, and the ${name} ${kind} gives ${given}`,
        );
      }
    }
  }
  if (missed.length === 0) return;
  throw new MicroError(
    "failed_precondition",
    `service ${service} cannot start, because a part promises less than it requires: ${missed.join("; ")}; ` +
      "give it another implementation, or require less",
    { outcome: "not-executed" },
  );
}

const known: { readonly [P in keyof Requirements]-?: true } = {
  registry: true,
  broker: true,
  store: true,
  sync: true,
};

function suffices(guarantee: string, given: unknown, least: unknown): boolean {
  if (given === least || least === "none" || least === false) return true;
  if (typeof given === "number" && typeof least === "number") return given >= least;
  const order = guarantee.endsWith(".durability") ? durability : levels[guarantee];
  if (order === undefined) return false;
  const wanted = order.indexOf(least as string);
  return wanted >= 0 && order.indexOf(given as string) >= wanted;
}
