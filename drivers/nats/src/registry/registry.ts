import type { Logger, Registry } from "@micro-es/runtime";
import {
  checkOptions,
  FollowedRegistry,
  type Following,
  logger,
  type NodeBackend,
  type NodeFollower,
  type RegistrationClaim,
  text,
  untilAborted,
} from "@micro-es/runtime/driver";
import { type BucketEntry, NatsBucket } from "../link/bucket.ts";
import { BucketWatch } from "../link/bucket-watch.ts";
import { NatsDriver, type NatsDriverOptions } from "../link/driver.ts";
import { natsFailure } from "../link/failure.ts";
import { natsDriverKinds, replicas } from "../link/option-kinds.ts";
import { BucketRegistration } from "./bucket-registration.ts";
import { decodeRecord, keysOf } from "./record.ts";

/** Where a {@link natsRegistry} keeps its nodes. */
export type NatsRegistryOptions = NatsDriverOptions & {
  /**
   * The key-value bucket, created if it does not exist; a different bucket is a separate fleet.
   * Default `micro-registry`.
   */
  readonly bucket?: string;
  /** Replicas of the bucket in a cluster. Default 1. */
  readonly replicas?: number;
  readonly logger?: Logger;
};

/** Entries that are no longer renewed leave the bucket after this time. */
const maxAgeMs = 60 * 60_000;
/**
 * A registry in a NATS key-value bucket, for servers with JetStream. A node is an entry that is
 * rewritten at each third of its ttl; processes that follow a service remove nodes that are not
 * renewed. While the server is unreachable, every process keeps the last known state, and for a ttl
 * after it is back.
 *
 * @example
 * ```ts
 * import { natsRegistry } from "@micro-es/nats";
 * import { createClient } from "@micro-es/runtime";
 *
 * const client = createClient({ registry: natsRegistry({ servers: "nats://127.0.0.1:4222" }) });
 * ```
 */
export function natsRegistry(options: NatsRegistryOptions = {}): Registry {
  checkOptions("natsRegistry", options, { ...natsDriverKinds, bucket: text, replicas, logger });
  return new FollowedRegistry(new BucketNodes(options), options.logger);
}

/** The entries of nodes in a bucket. */
class BucketNodes extends NatsDriver implements NodeBackend {
  readonly name = "nats";
  readonly expiry = "reader";
  readonly failure = natsFailure;
  readonly #bucket: NatsBucket;

  constructor(options: NatsRegistryOptions) {
    super(options, "registry");
    this.#bucket = new NatsBucket(this.link, options.bucket ?? "micro-registry", {
      maxAgeMs,
      replicas: options.replicas ?? 1,
    });
  }

  follow(service: string, follower: NodeFollower): Following {
    const { link } = this;
    const watch = new BucketWatch(this.#bucket, keysOf(service), {
      snapshot: (entries, serverTime) => {
        for (const { key, deleted } of entries) if (deleted) follower.delete(key);
        const present = entries.filter(({ deleted }) => !deleted);
        follower.snapshot(
          present.map((entry) => {
            const ageMs = Math.max(0, serverTime - entry.writtenAt);
            return { key: entry.key, ageMs, decode: () => decodeRecord(entry.key, entry.value) };
          }),
        );
      },
      change: ({ key, value, deleted }) => {
        if (deleted) follower.delete(key);
        else follower.put({ key, decode: () => decodeRecord(key, value) });
      },
      failed: (error) => follower.failed(natsFailure(error, `follow ${service}`)),
    });
    return {
      get isCurrent() {
        return link.connected;
      },
      close: () => watch.close(),
    };
  }

  async names(_what: string, signal: AbortSignal | undefined): Promise<Iterable<string>> {
    const names = new Set<string>();
    let watch: BucketWatch | undefined;
    const listed = new Promise<void>((resolve, reject) => {
      watch = new BucketWatch(this.#bucket, ">", {
        snapshot: (entries, serverTime) => {
          for (const entry of entries) addService(names, entry, serverTime);
          resolve();
        },
        change: () => {},
        failed: reject,
      });
    });
    try {
      await untilAborted(listed, signal);
    } finally {
      watch?.close();
    }
    return names;
  }

  registration(claim: RegistrationClaim): BucketRegistration {
    return new BucketRegistration(claim, this.#bucket);
  }
}

function addService(names: Set<string>, entry: BucketEntry, serverTime: number): void {
  if (entry.deleted) return;
  try {
    const { node, ttlMs } = decodeRecord(entry.key, entry.value);
    if (serverTime - entry.writtenAt < ttlMs) names.add(node.service);
  } catch {
    // An unusable record does not make a service.
  }
}
