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
import { FollowedQuery } from "../link/followed-query.ts";
import { type KeyEntry, type KeyReading, readKeys } from "../link/keys.ts";
import { consulPartKinds } from "../link/options.ts";
import { ConsulPart, type ConsulPartOptions, prefixKind } from "../link/part.ts";

/** The keys that a {@link consulSource} reads, and how it connects. */
export type ConsulSourceOptions = ConsulPartOptions & {
  /**
   * The prefix of all keys, which is removed: with `apps/shop`, the key `apps/shop/database/host`
   * is `database.host`. The key `apps/shop` itself may hold a table of all values as JSON. Default
   * `micro/config`.
   */
  readonly prefix?: string;
};

/**
 * Configuration from the keys of Consul (1.8 and later), followed as it changes. A key such as
 * `micro/config/database/host` is the value at the path `database.host`. A value that is JSON is
 * parsed, including tables; any other is text. So a change takes only `consul kv put
 * micro/config/database/pool 10`, and changes made in one transaction become visible together.
 *
 * While the keys cannot be read, or contain invalid values, the last good values stay in force.
 *
 * @throws MicroError `invalid_argument` for invalid options.
 * @example
 * ```ts
 * import { consulSource } from "@micro-es/consul";
 * import { loadConfig } from "@micro-es/runtime";
 *
 * const config = await loadConfig([consulSource({ prefix: "apps/shop" })]);
 * ```
 */
export function consulSource(options: ConsulSourceOptions = {}): ConfigSource {
  checkOptions("consulSource", options, { ...consulPartKinds, prefix: prefixKind });
  return new EntriesSource(new ConsulConfigEntries(options));
}

/** The keys at and below a prefix. */
class ConsulConfigEntries extends ConsulPart implements ConfigEntries {
  readonly name: string;
  readonly guarantees: ConfigSourceGuarantees = {
    reach: "backend",
    watch: true,
    consistency: "table",
  };
  readonly #prefix: string;
  readonly #queries = new Set<FollowedQuery<KeyReading>>();

  constructor({ prefix = "micro/config", ...options }: ConsulSourceOptions) {
    super(options, "config source");
    this.#prefix = prefix;
    this.name = `consul:${prefix}`;
  }

  async readAll(signals: readonly (AbortSignal | undefined)[]): Promise<readonly ConfigEntry[]> {
    for (const signal of signals) throwIfAborted(signal);
    const reading = readKeys(this.link, this.#prefix, `load ${this.name}`, { below: true });
    return this.#below((await untilAborted(reading, signals)).entries);
  }

  follow(follower: ConfigEntriesFollower): () => void {
    const query = new FollowedQuery<KeyReading>(
      this.link,
      (after, signal) =>
        readKeys(this.link, this.#prefix, `follow ${this.name}`, { below: true, after, signal }),
      {
        read: ({ entries }) => follower.snapshot(this.#below(entries)),
        failed: (reason) => follower.failed(reason),
        resumed: () => {},
      },
    );
    this.#queries.add(query);
    return () => {
      this.#queries.delete(query);
      void query.close();
    };
  }

  protected override async end(): Promise<void> {
    await Promise.all([...this.#queries].map((query) => query.close()));
  }

  /** The values at and below the prefix: `apps/shop-2` is not, and a folder has none. */
  #below(entries: readonly KeyEntry[]): readonly ConfigEntry[] {
    return entries.flatMap(({ key, value }): ConfigEntry[] => {
      const rest = key.slice(this.#prefix.length);
      const isFolder = rest.endsWith("/") && value.length === 0;
      if (isFolder || (rest !== "" && !rest.startsWith("/"))) return [];
      return [{ key, path: rest === "" ? [] : rest.slice(1).split("/"), value }];
    });
  }
}
