import { jetstreamBroker } from "./broker/jetstream.ts";
import { natsBroker } from "./broker/nats.ts";
import { given } from "./given.ts";
import type { Logger } from "./logger.ts";
import type { NatsDriverOptions } from "./nats/driver.ts";
import { NatsLink } from "./nats/link.ts";
import { natsRegistry } from "./registry/nats.ts";
import type { ServiceOptions } from "./service.ts";
import { natsStore } from "./store/nats.ts";
import { natsSync } from "./sync/nats.ts";

export { NatsLink } from "./nats/link.ts";
export type { NatsOptions, NatsTlsOptions } from "./nats/options.ts";

/** Options of {@link nats}. */
export type NatsServiceOptions = NatsDriverOptions & {
  /** Buckets and streams are named by it, so that fleets on the same servers stay apart. Default `micro`. */
  readonly fleet?: string;
  /** `jetstream` (default) delivers at least once, `core` is faster and delivers at most once. */
  readonly broker?: "jetstream" | "core";
  /** Copies of buckets and streams in a cluster. Default 1. */
  readonly replicas?: number;
  /** A process that is not heard of for this long has its events delivered to others, in milliseconds. Default 30,000. */
  readonly ackWaitMs?: number;
  readonly logger?: Logger;
};

/** What {@link nats} gives to a service. */
export type NatsServiceParts = Required<
  Pick<ServiceOptions, "registry" | "broker" | "store" | "sync" | "owned">
>;

/**
 * Everything that a service can have on NATS, over one connection that is closed with the service:
 * `createService({ name: "greeter", ...nats({ servers: "nats://10.0.0.5:4222" }) })`. Calls still go straight from
 * process to process, over TCP. A `link` that is given, so that configuration and transport share it, stays its maker's to
 * close.
 *
 * The servers need JetStream (`nats-server -js`). Nothing connects before the service starts.
 */
export function nats(options: NatsServiceOptions = {}): NatsServiceParts {
  const { fleet = "micro", logger } = options;
  const link = options.link ?? new NatsLink(options);
  const shared = { link, ...given({ replicas: options.replicas, logger }) };
  const registry = natsRegistry({ ...shared, bucket: `${fleet}-registry` });
  const broker =
    options.broker === "core"
      ? natsBroker(shared)
      : jetstreamBroker({
          ...shared,
          ...given({ ackWaitMs: options.ackWaitMs }),
          stream: `${fleet}-events`,
          prefix: `${fleet}.events`,
        });
  const store = natsStore({ ...shared, bucket: `${fleet}-store` });
  const sync = natsSync({ ...shared, bucket: `${fleet}-sync` });
  const parts = [broker, registry, store, sync];
  const owned = options.link === undefined ? [...parts, link] : parts;
  return { registry, broker, store, sync, owned };
}
