import { Buffer } from "node:buffer";
import { asMicroError, type BackendState, type ConfigSource, MicroError } from "@micro-es/runtime";
import {
  abortError,
  BackendStatus,
  type ConfigSourceGuarantees,
  type ConfigTable,
  checkOptions,
  checkTable,
  equalValues,
  isTable,
  LatestValue,
  listenForAbort,
  PacedWork,
  parseJson,
  type StateListener,
  text,
  throwIfAborted,
} from "@micro-es/runtime/driver";
import { type BucketEntry, NatsBucket } from "../link/bucket.ts";
import { BucketWatch } from "../link/bucket-watch.ts";
import { NatsDriver, type NatsDriverOptions } from "../link/driver.ts";
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

/** The largest value of a key, in bytes, that is read. */
const maxValueBytes = 1024 * 1024;
const maxKeys = 10_000;

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
  return new BucketSource(options);
}

class BucketSource extends NatsDriver implements ConfigSource {
  readonly name: string;
  readonly guarantees: ConfigSourceGuarantees = {
    reach: "backend",
    watch: true,
    consistency: "value",
  };
  readonly #prefix: string;
  readonly #bucket: NatsBucket;
  readonly #status = new BackendStatus();
  readonly #changes = new LatestValue<ConfigTable>();
  readonly #closing = new AbortController();
  /** The watch that serves subscribers. */
  #following: BucketWatch | undefined;
  /** What the watch has received; undefined before its first snapshot. */
  #entries: Map<string, BucketEntry> | undefined;
  /**
   * Each change creates a new table of all keys, so changes in quick succession are published
   * together.
   */
  readonly #publishing = new PacedWork(() => this.#publish(true));
  #values: ConfigTable | undefined;
  /** Whether a load failed, so that watchers have not yet received the current values. */
  #untold = false;
  #problem: string | undefined;

  constructor(options: NatsSourceOptions) {
    super(options, "config source");
    const bucket = options.bucket ?? "micro-config";
    this.#prefix = options.prefix === undefined ? "" : `${options.prefix}.`;
    this.name = `nats:${bucket}${this.#prefix === "" ? "" : `/${options.prefix}`}`;
    this.#bucket = new NatsBucket(this.link, bucket, { replicas: options.replicas ?? 1 });
    this.link.status.onStateChange((state, reason) => {
      if (state !== "healthy") this.#report(reason);
    });
  }

  override get state(): BackendState {
    return this.#status.state;
  }

  override onStateChange(listener: StateListener): () => void {
    return this.#status.onStateChange(listener);
  }

  async load(options: { readonly signal?: AbortSignal } = {}): Promise<ConfigTable> {
    try {
      const entries = await this.#readAll(options.signal);
      const values = this.#table(entries);
      this.#report(undefined);
      this.#loaded(values);
      return values;
    } catch (error) {
      this.#untold = true;
      if (!this.#closing.signal.aborted && options.signal?.aborted !== true) {
        this.#report(asMicroError(error));
      }
      throw error;
    }
  }

  /** Values published as a change differ from the loaded ones, whichever of the two came first. */
  #loaded(values: ConfigTable): void {
    if (this.#entries === undefined) {
      this.#values = values;
      return;
    }
    if (this.#values !== undefined && equalValues(values, this.#values)) return;
    this.#untold = true;
    this.#publishing.request();
  }

  watch(options: { readonly signal?: AbortSignal } = {}): AsyncIterable<ConfigTable> {
    const subscription = this.#changes.subscribe({
      signal: options.signal,
      onEnd: () => {
        if (this.#changes.readers > 0) return;
        this.#unfollow();
      },
    });
    if (this.#changes.readers > 0) this.#following ??= this.#follow();
    return subscription;
  }

  protected override async end(): Promise<void> {
    this.#closing.abort(
      new MicroError("unavailable", `cannot load ${this.name}: the config source is closed`, {
        outcome: "not-executed",
      }),
    );
    this.#changes.close();
    this.#unfollow();
  }

  #unfollow(): void {
    this.#following?.close();
    this.#following = undefined;
    this.#entries = undefined;
    this.#publishing.cancel();
  }

  #follow(): BucketWatch {
    return new BucketWatch(this.#bucket, ">", {
      snapshot: (entries) => {
        // Without anything loaded or received before it, the first snapshot changes nothing.
        const tell = this.#values !== undefined || this.#entries !== undefined;
        this.#entries = new Map(entries.map((entry) => [entry.key, entry]));
        this.#publishing.cancel();
        this.#publish(tell);
      },
      change: (entry) => {
        this.#entries?.set(entry.key, entry);
        this.#publishing.request();
      },
      failed: (error) => this.#report(asMicroError(error)),
    });
  }

  #publish(tell: boolean): void {
    if (this.#entries === undefined) return;
    try {
      const values = this.#table([...this.#entries.values()]);
      const changed = this.#values === undefined || !equalValues(values, this.#values);
      this.#values = values;
      this.#report(undefined);
      if (!this.#untold && !(tell && changed)) return;
      this.#untold = false;
      this.#changes.publish(values);
    } catch (error) {
      this.#report(asMicroError(error));
    }
  }

  /**
   * @throws MicroError `invalid_argument` when keys contradict each other or a value is not valid
   * configuration.
   */
  #table(entries: readonly BucketEntry[]): ConfigTable {
    const live = entries.filter(({ key, deleted }) => !deleted && this.#concerns(key));
    if (live.length > maxKeys) {
      throw this.#nonsense("", `it has ${live.length} keys, and ${maxKeys} are allowed`);
    }
    const root: Record<string, unknown> = Object.create(null) as Record<string, unknown>;
    // Shorter keys first, so that a table is followed by the keys below it.
    for (const entry of live.sort((a, b) => (a.key < b.key ? -1 : 1))) {
      if (entry.value.length > maxValueBytes) throw this.#nonsense(entry.key, "it is too large");
      const value = this.#parse(entry);
      if (!entry.key.startsWith(this.#prefix)) {
        if (!isTable(value)) throw this.#nonsense(entry.key, "it is not a table");
        Object.assign(root, value);
        continue;
      }
      const key = entry.key.slice(this.#prefix.length);
      const names = key.split(".");
      const last = names.pop() ?? "";
      let table = root;
      for (const name of names) {
        table[name] ??= Object.create(null);
        const inner = table[name];
        if (!isTable(inner)) throw this.#nonsense(key, `${name} is a value and no table`);
        table = inner as Record<string, unknown>;
      }
      if (last in table) throw this.#nonsense(key, "the table of another key contains it as well");
      table[last] = value;
    }
    return checkTable(root, this.name);
  }

  /** The value as JSON if it is valid JSON, otherwise as text. */
  #parse(entry: BucketEntry): unknown {
    const text = Buffer.from(entry.value).toString();
    const result = parseJson(text);
    if ("value" in result) return result.value;
    if (result.problem.cause === undefined) throw this.#nonsense(entry.key, result.problem.reason);
    return text;
  }

  #concerns(key: string): boolean {
    return key.startsWith(this.#prefix) || `${key}.` === this.#prefix;
  }

  #nonsense(key: string, reason: string): MicroError {
    const at = key === "" ? "" : ` at ${key.slice(0, 200)}`;
    return new MicroError("invalid_argument", `${this.name}${at}: ${reason}`);
  }

  #readAll(signal: AbortSignal | undefined): Promise<readonly BucketEntry[]> {
    return new Promise((resolve, reject) => {
      const signals = [signal, this.#closing.signal];
      for (const each of signals) throwIfAborted(each);
      const end = () => {
        watch.close();
        stopListening();
      };
      const watch = new BucketWatch(this.#bucket, ">", {
        snapshot: (entries) => {
          end();
          resolve(entries);
        },
        change: () => {},
        failed: (error) => {
          end();
          reject(error);
        },
      });
      const stopListening = listenForAbort(signals, (reason) => {
        watch.close();
        reject(abortError(reason));
      });
    });
  }

  #report(problem: MicroError | undefined): void {
    if (problem?.message === this.#problem) return;
    this.#problem = problem?.message;
    if (problem === undefined) this.#status.set("healthy");
    else if (this.#status.state === "healthy") this.#status.set("degraded", problem);
    else this.#status.explain(problem);
  }
}
