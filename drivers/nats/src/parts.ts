import type { Broker, Logger, Registry, ServiceOptions, Store, Sync } from "@micro-es/runtime";
import {
  checkOptions,
  durationMs,
  logger as loggerKind,
  omitUndefined,
  oneOf,
  text,
} from "@micro-es/runtime/driver";
import { natsBroker } from "./broker/core/broker.ts";
import { jetstreamBroker } from "./broker/jetstream/broker.ts";
import type { NatsDriverOptions } from "./link/driver.ts";
import { NatsLink } from "./link/link.ts";
import { natsDriverKinds, replicas } from "./link/option-kinds.ts";
import { natsRegistry } from "./registry/registry.ts";
import { natsStore } from "./store/store.ts";
import { natsSync } from "./sync/sync.ts";

/** How the parts of a fleet on NATS are set up. */
export interface FleetOptions {
  /**
   * Prefixes the names of buckets and streams, so that fleets on the same servers are separate.
   * Default `micro`.
   */
  readonly fleet?: string;
  /** `jetstream` (default) delivers at least once; `core` is faster and delivers at most once. */
  readonly broker?: "jetstream" | "core";
  /** Replicas of buckets and streams in a cluster. Default 1. */
  readonly replicas?: number;
  /**
   * Events of a process that has been silent for this long are redelivered to others, in
   * milliseconds. Default 30,000.
   */
  readonly ackWaitMs?: number;
}

/** Options of {@link natsParts}. */
export type NatsPartsOptions = NatsDriverOptions & FleetOptions & { readonly logger?: Logger };

/** The parts that {@link natsParts} provides to a service. */
export type NatsParts = Required<
  Pick<ServiceOptions, "registry" | "broker" | "store" | "sync" | "owned">
>;

/**
 * All parts that a service can have on NATS, over one connection that is closed with the service,
 * for a program that configures it in code:
 * `createService({ name: "greeter", ...natsParts({ servers: "nats://10.0.0.5:4222" }) })`. With the
 * driver `nats`, the environment chooses instead. Calls still go directly from process to process,
 * over TCP. A passed `link`, which configuration and transport may share, is closed by its creator.
 *
 * The servers need JetStream (`nats-server -js`). Nothing connects before the service starts.
 *
 * @example
 * ```ts
 * import { natsParts } from "@micro-es/nats";
 * import { createService } from "@micro-es/runtime";
 *
 * const service = createService({
 *   name: "greeter",
 *   ...natsParts({ servers: "nats://127.0.0.1:4222" }),
 * });
 * ```
 */
export function natsParts(options: NatsPartsOptions = {}): NatsParts {
  checkOptions("natsParts", options, {
    ...natsDriverKinds,
    fleet: text,
    broker: oneOf("jetstream", "core"),
    replicas,
    ackWaitMs: durationMs(1),
    logger: loggerKind,
  });
  const link = options.link ?? new NatsLink(options);
  const make = partsOn(link, options, options.logger);
  const registry = make.registry();
  const broker = make.broker();
  const store = make.store();
  const sync = make.sync();
  const parts = [broker, registry, store, sync];
  const owned = options.link === undefined ? [...parts, link] : parts;
  return { registry, broker, store, sync, owned };
}

/** Creates the parts of a fleet on a connection. */
export interface PartsOnLink {
  registry(): Registry;
  broker(): Broker;
  store(): Store;
  sync(): Sync;
}

/** The parts of a fleet on a connection, each created on request. */
export function partsOn(
  link: NatsLink,
  { fleet = "micro", broker, replicas, ackWaitMs }: FleetOptions,
  logger: Logger | undefined,
): PartsOnLink {
  const shared = { link, ...omitUndefined({ replicas, logger }) };
  return {
    registry: () => natsRegistry({ ...shared, bucket: `${fleet}-registry` }),
    broker: () =>
      broker === "core"
        ? natsBroker(shared)
        : jetstreamBroker({
            ...shared,
            ...omitUndefined({ ackWaitMs }),
            stream: `${fleet}-events`,
            prefix: `${fleet}.events`,
          }),
    store: () => natsStore({ ...shared, bucket: `${fleet}-store` }),
    sync: () => natsSync({ ...shared, bucket: `${fleet}-sync` }),
  };
}
