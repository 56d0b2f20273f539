import { Buffer } from "node:buffer";
import type { ConfigSource } from "@micro-es/runtime";
import {
  type ConfigEntries,
  type ConfigEntriesFollower,
  type ConfigEntry,
  type ConfigSourceGuarantees,
  checkOptions,
  EntriesSource,
  throwIfAborted,
  untilAborted,
} from "@micro-es/runtime/driver";
import { type EtcdEntry, type KeyRange, readRange } from "../link/entries.ts";
import { etcdPartKinds } from "../link/options.ts";
import { EtcdPart, type EtcdPartOptions, prefixKind } from "../link/part.ts";

/** The keys that an {@link etcdSource} reads, and how it connects. */
export type EtcdSourceOptions = EtcdPartOptions & {
  /**
   * The prefix of all keys, which is removed: with `/apps/shop`, the key `/apps/shop/database/host`
   * is `database.host`. The key `/apps/shop` itself may hold a table of all values as JSON. Default
   * `/micro/config`.
   */
  readonly prefix?: string;
};

/** One more than an {@link EntriesSource} takes, so that it reports the problem. */
const maxKeys = 10_001;

/**
 * Configuration from etcd (3.4 and later), followed as it changes. A key such as
 * `/micro/config/database/host` is the value at the path `database.host`. A value that is JSON is
 * parsed, including tables; any other is text. So a change takes only `etcdctl put
 * /micro/config/database/pool 10`, and changes made in one transaction become visible together.
 *
 * While the keys cannot be read, or contain invalid values, the last good values stay in force.
 *
 * @throws MicroError `invalid_argument` for invalid options.
 * @example
 * ```ts
 * import { etcdSource } from "@micro-es/etcd";
 * import { loadConfig } from "@micro-es/runtime";
 *
 * const config = await loadConfig([etcdSource({ prefix: "/apps/shop" })]);
 * ```
 */
export function etcdSource(options: EtcdSourceOptions = {}): ConfigSource {
  checkOptions("etcdSource", options, { ...etcdPartKinds, prefix: prefixKind });
  return new EntriesSource(new EtcdConfigEntries(options));
}

/** The keys at and below a prefix. */
class EtcdConfigEntries extends EtcdPart implements ConfigEntries {
  readonly name: string;
  readonly guarantees: ConfigSourceGuarantees = {
    reach: "backend",
    watch: true,
    consistency: "table",
  };
  readonly #prefix: string;
  readonly #keys: KeyRange;

  constructor({ prefix = "/micro/config", ...options }: EtcdSourceOptions) {
    super(options, "config source");
    this.#prefix = prefix;
    // "0" comes after "/": the key of the prefix itself, and those below it.
    this.#keys = { key: Buffer.from(prefix), rangeEnd: Buffer.from(`${prefix}0`) };
    this.name = `etcd:${prefix}`;
  }

  async readAll(signals: readonly (AbortSignal | undefined)[]): Promise<readonly ConfigEntry[]> {
    for (const signal of signals) throwIfAborted(signal);
    const options = { limit: maxKeys };
    const reading = readRange(this.link, this.#keys, `load ${this.name}`, options);
    return this.#below((await untilAborted(reading, signals)).entries);
  }

  follow(follower: ConfigEntriesFollower): () => void {
    const watch = this.watches.watch(this.#keys, `follow ${this.name}`, maxKeys, {
      snapshot: ({ entries }) => follower.snapshot(this.#below(entries)),
      change: (entry) => {
        for (const changed of this.#below([entry])) follower.change(changed);
      },
      failed: (reason) => follower.failed(reason),
    });
    return () => watch.close();
  }

  /** The values of those entries that are at or below the prefix: `/apps/shop-2` is not. */
  #below(entries: readonly EtcdEntry[]): readonly ConfigEntry[] {
    return entries.flatMap(({ key, value, deleted }): ConfigEntry[] => {
      const rest = key.slice(this.#prefix.length);
      if (rest !== "" && !rest.startsWith("/")) return [];
      const path = rest === "" ? [] : rest.slice(1).split("/");
      return [{ key, path, value: deleted ? undefined : value }];
    });
  }
}
