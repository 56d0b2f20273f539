import type { Buffer } from "node:buffer";
import { asMicroError, type ConfigSource } from "@micro-es/runtime";
import {
  type ConfigEntries,
  type ConfigEntriesFollower,
  type ConfigEntry,
  type ConfigSourceGuarantees,
  checkOptions,
  durationMs,
  EntriesSource,
  pauseUntilAborted,
  sharedAbortController,
  text,
  throwIfAborted,
  untilAborted,
} from "@micro-es/runtime/driver";
import { redisPartKinds } from "../link/options.ts";
import { prefixKind, RedisPart, type RedisPartOptions } from "../link/part.ts";

/** The hash that a {@link redisSource} reads, and how it connects. */
export type RedisSourceOptions = RedisPartOptions & {
  /** The key of the hash. Default the prefix with `:config`, as in `micro:config`. */
  readonly key?: string;
  /** How often the hash is read, in milliseconds. Default 2,000. */
  readonly pollMs?: number;
};

/**
 * Configuration from a hash in Redis 7 and later, or Valkey, followed as it changes. A field such
 * as `database.host` is the value at that path, and the field `.` a table of all values. A value
 * that is JSON is parsed, including tables; any other is text. So a change takes only `redis-cli
 * HSET micro:config database.pool 10`. The hash is read at once, so fields that are set by one
 * command become visible together.
 *
 * While the hash cannot be read, or contains invalid values, the last good values stay in force.
 *
 * @throws MicroError `invalid_argument` for invalid options.
 * @example
 * ```ts
 * import { redisSource } from "@micro-es/redis";
 * import { loadConfig } from "@micro-es/runtime";
 *
 * const config = await loadConfig([redisSource({ key: "shop:config" })]);
 * ```
 */
export function redisSource(options: RedisSourceOptions = {}): ConfigSource {
  const own = { prefix: prefixKind, key: text, pollMs: durationMs(10) };
  checkOptions("redisSource", options, { ...redisPartKinds, ...own });
  return new EntriesSource(new RedisConfigEntries(options));
}

/** The fields of a hash. */
class RedisConfigEntries extends RedisPart implements ConfigEntries {
  readonly name: string;
  readonly guarantees: ConfigSourceGuarantees = {
    reach: "backend",
    watch: true,
    consistency: "table",
  };
  readonly #key: string;
  readonly #pollMs: number;
  readonly #closing: AbortController = sharedAbortController();

  constructor({ key, pollMs = 2_000, ...options }: RedisSourceOptions) {
    super(options, "config source");
    this.#key = key ?? `${this.prefix}:config`;
    this.#pollMs = pollMs;
    this.name = `redis:${this.#key}`;
  }

  async readAll(signals: readonly (AbortSignal | undefined)[]): Promise<readonly ConfigEntry[]> {
    for (const signal of signals) throwIfAborted(signal);
    const reading = this.link.send("HGETALL", [this.#key], `load ${this.name}`);
    const found = (await untilAborted(reading, signals)) as readonly Buffer[];
    const entries: ConfigEntry[] = [];
    for (let index = 0; index + 1 < found.length; index += 2) {
      const field = String(found[index]);
      const path = field === "." ? [] : field.split(".");
      entries.push({ key: `${this.#key} ${field}`, path, value: found[index + 1] });
    }
    return entries;
  }

  /** A hash has no history, and another program that sets a field notifies no reader. */
  follow(follower: ConfigEntriesFollower): () => void {
    const stopping = new AbortController();
    const signals = [stopping.signal, this.#closing.signal];
    const isOver = () => signals.some(({ aborted }) => aborted);
    const poll = async () => {
      while (!isOver()) {
        try {
          const entries = await this.readAll(signals);
          if (!isOver()) follower.snapshot(entries);
        } catch (error) {
          if (!isOver()) follower.failed(asMicroError(error, "unavailable"));
        }
        await pauseUntilAborted(this.#pollMs, signals);
      }
    };
    void poll();
    return () => stopping.abort();
  }

  protected override async end(): Promise<void> {
    this.#closing.abort(this.closedError(`load ${this.name}`));
  }
}
