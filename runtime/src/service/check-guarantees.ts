import { MicroError } from "../base/error.ts";
import type { BrokerGuarantees } from "../broker/broker.ts";
import type { ConfigGuarantees } from "../config/config.ts";
import type { RegistryGuarantees } from "../registry/registry.ts";
import type { ServerListen } from "../server/rpc-server.ts";
import type { StoreGuarantees } from "../store/store.ts";
import type { SyncGuarantees } from "../sync/sync.ts";
import type { TransportGuarantees } from "../transport/transport.ts";

/** The requirements on one part: each guarantee must have at least this level. */
export type PartRequirements<G> = { readonly [K in keyof G]?: G[K] };

/** The guarantees that the parts of a service must have. */
export interface Requirements {
  /**
   * Applies to every place where the service listens. The transport of an outgoing call depends on
   * its target.
   */
  readonly transport?: PartRequirements<TransportGuarantees>;
  readonly registry?: PartRequirements<RegistryGuarantees>;
  readonly broker?: PartRequirements<BrokerGuarantees>;
  readonly store?: PartRequirements<StoreGuarantees>;
  readonly sync?: PartRequirements<SyncGuarantees>;
  readonly config?: PartRequirements<ConfigGuarantees>;
}

/** Guarantees in which a later level includes the earlier ones. Others must match exactly. */
const levels: Readonly<Record<string, readonly string[]>> = {
  "transport.reach": ["process", "host", "network", "backend"],
  "transport.flowControl": ["none", "connection", "stream"],
  "broker.delivery": ["at-most-once", "at-least-once"],
  "broker.overflow": ["drop", "block"],
  "broker.attempts": ["process", "backend"],
  "broker.unheard": ["discarded", "kept"],
  "registry.reach": ["process", "host", "link", "backend"],
  "registry.consistency": ["eventual", "strong"],
  "registry.liveness": ["none", "process", "lease"],
  "store.reads": ["eventual", "read-your-writes", "linearizable"],
  "store.sharing": ["process", "host", "backend"],
  "sync.reach": ["process", "host", "backend"],
  "sync.fairness": ["process", "fifo"],
  "config.reach": ["process", "host", "backend"],
  "config.consistency": ["value", "table"],
  "config.lastKnownGood": ["process", "restart"],
};
const durability: readonly string[] = ["none", "process-crash", "power-loss"];

interface Part {
  /** As named in a message, such as `the memory broker`. */
  readonly what: string;
  readonly guarantees: object;
}

/** The parts of a service that have guarantees. */
export interface PromisingParts {
  readonly listen: readonly ServerListen[];
  readonly registry: NamedPart;
  readonly broker: NamedPart;
  readonly store: NamedPart;
  readonly sync: NamedPart;
  readonly config: { readonly guarantees: ConfigGuarantees } | undefined;
}

interface NamedPart {
  readonly name: string;
  readonly guarantees: object;
}

/**
 * Checks the parts of a service against its requirements.
 * @throws MicroError `failed_precondition` that names every part that guarantees less, with the
 * required and the actual level, and a required part that is missing; `invalid_argument` for an
 * unknown part or guarantee.
 */
export function checkRequirements(
  service: string,
  parts: PromisingParts,
  required: Requirements,
): void {
  const missed: string[] = [];
  for (const [kind, wanted] of Object.entries(required)) {
    if (!Object.hasOwn(partsOf, kind)) {
      throw invalid(
        `service ${service} requires something of ${kind}; requirements are for ${Object.keys(partsOf).join(", ")}`,
      );
    }
    const found = partsOf[kind as keyof Requirements](parts);
    if (found.length === 0) missed.push(`${kind}: the service has none`);
    for (const part of found) {
      for (const [guarantee, least] of Object.entries(wanted ?? {})) {
        if (least === undefined) continue;
        const given = (part.guarantees as Record<string, unknown>)[guarantee];
        if (given === undefined) {
          throw invalid(
            `service ${service} requires ${guarantee} of its ${kind}; a ${kind} has ${Object.keys(part.guarantees).join(", ")}`,
          );
        }
        if (suffices(`${kind}.${guarantee}`, given, least)) continue;
        missed.push(`${kind}.${guarantee}: wanted ${least}, and ${part.what} gives ${given}`);
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

const partsOf: {
  readonly [P in keyof Requirements]-?: (parts: PromisingParts) => readonly Part[];
} = {
  transport: ({ listen }) =>
    listen.map(({ transport, address }) => ({
      what: `the ${transport.name} transport at ${address}`,
      guarantees: transport.guaranteesAt?.(address) ?? transport.guarantees,
    })),
  registry: ({ registry }) => [named("registry", registry)],
  broker: ({ broker }) => [named("broker", broker)],
  store: ({ store }) => [named("store", store)],
  sync: ({ sync }) => [named("sync", sync)],
  config: ({ config }) =>
    config === undefined ? [] : [{ what: "the config", guarantees: config.guarantees }],
};

function named(kind: string, { name, guarantees }: NamedPart): Part {
  return { what: `the ${name} ${kind}`, guarantees };
}

function invalid(message: string): MicroError {
  return new MicroError("invalid_argument", message, { outcome: "not-executed" });
}

function suffices(guarantee: string, given: unknown, least: unknown): boolean {
  if (given === least || least === "none" || least === false) return true;
  if (typeof given === "number" && typeof least === "number") return given >= least;
  const order = guarantee.endsWith(".durability") ? durability : levels[guarantee];
  if (order === undefined) return false;
  const wanted = order.indexOf(least as string);
  return wanted >= 0 && order.indexOf(given as string) >= wanted;
}
