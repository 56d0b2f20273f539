import type { ConfigSource } from "@micro-es/runtime";
import {
  type ConfigEntries,
  type ConfigEntriesFollower,
  type ConfigEntry,
  type ConfigSourceGuarantees,
  checkOptions,
  EntriesSource,
  text,
} from "@micro-es/runtime/driver";
import { type BucketEntry, NatsBucket } from "../link/bucket.ts";
import { snapshotOf } from "../link/bucket-snapshot.ts";
import { BucketWatch } from "../link/bucket-watch.ts";
import { NatsDriver, type NatsDriverOptions } from "../link/driver.ts";
import { natsFailure } from "../link/failure.ts";
import { natsDriverKinds, replicas } from "../link/option-kinds.ts";

/** The bucket that a {@link natsSource} reads. */
export type NatsSourceOptions = NatsDriverOptions & {
  /** The key-value bucket; created if it does not exist. Default `micro-config`. */
  readonly bucket?: string;
  /** Replicas of the bucket in a cluster. Default 1. */
  readonly replicas?: number;
  /**
   * Only keys below this prefix, which is removed: with `shop`, the key `shop.database.host` is
   * `database.host`. The key `shop` itself may hold a table of all values as JSON, which then
   * changes as one.
   */
  readonly prefix?: string;
};

/**
 * Configuration from a NATS key-value bucket, followed as it changes. A key such as `database.host`
 * is the value at that path. A value that is JSON is parsed, including tables; any other is text.
 * So a change takes only `nats kv put micro-config database.pool 10`.
 *
 * While the bucket cannot be read, or contains invalid values, the last good values stay in force.
 *
 * @example
 * ```ts
 * import { natsSource } from "@micro-es/nats";
 * import { loadConfig } from "@micro-es/runtime";
 *
 * const config = await loadConfig([natsSource({ bucket: "app-config" })]);
 * ```
 */
export function natsSource(options: NatsSourceOptions = {}): ConfigSource {
  checkOptions("natsSource", options, { ...natsDriverKinds, bucket: text, replicas, prefix: text });
  return new EntriesSource(new BucketEntries(options));
}

/** The entries of a bucket that are below a prefix. */
class BucketEntries extends NatsDriver implements ConfigEntries {
  readonly name: string;
  readonly guarantees: ConfigSourceGuarantees = {
    reach: "backend",
    watch: true,
    consistency: "value",
  };
  readonly #prefix: string;
  readonly #bucket: NatsBucket;

  constructor(options: NatsSourceOptions) {
    super(options, "config source");
    const { bucket = "micro-config", prefix, replicas = 1 } = options;
    this.#prefix = prefix === undefined ? "" : `${prefix}.`;
    this.name = `nats:${bucket}${prefix === undefined ? "" : `/${prefix}`}`;
    this.#bucket = new NatsBucket(this.link, bucket, { replicas });
  }

  async readAll(signals: readonly (AbortSignal | undefined)[]): Promise<readonly ConfigEntry[]> {
    const { entries } = await snapshotOf(this.#bucket, signals);
    return entries.flatMap((entry) => this.#entryOf(entry) ?? []);
  }

  follow(follower: ConfigEntriesFollower): () => void {
    const watch = new BucketWatch(this.#bucket, ">", {
      snapshot: (entries) =>
        follower.snapshot(entries.flatMap((entry) => this.#entryOf(entry) ?? [])),
      change: (entry) => {
        const changed = this.#entryOf(entry);
        if (changed !== undefined) follower.change(changed);
      },
      failed: (error) => follower.failed(natsFailure(error, `follow ${this.name}`)),
    });
    return () => watch.close();
  }

  /** The value of an entry; undefined if the entry is not below the prefix. */
  #entryOf({ key, value, deleted }: BucketEntry): ConfigEntry | undefined {
    const entry = { key, value: deleted ? undefined : value };
    if (`${key}.` === this.#prefix) return { ...entry, path: [] };
    if (!key.startsWith(this.#prefix)) return undefined;
    return { ...entry, path: key.slice(this.#prefix.length).split(".") };
  }
}
