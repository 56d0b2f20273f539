import { Buffer } from "node:buffer";
import { type BackendState, BackendStatus, type StateListener } from "../backend.ts";
import { asMicroError, MicroError } from "../error.ts";
import { type BucketEntry, NatsBucket } from "../nats/bucket.ts";
import { BucketWatch } from "../nats/bucket-watch.ts";
import { NatsDriver, type NatsDriverOptions } from "../nats/driver.ts";
import type { ConfigSource, ConfigSourceGuarantees, ConfigTable } from "./config.ts";
import { Latest } from "./latest.ts";
import { checkTable, equalValues, isTable } from "./table.ts";

/** Which bucket a {@link natsSource} reads. */
export type NatsSourceOptions = NatsDriverOptions & {
  /** The key-value bucket; made when it is not there. Default `micro-config`. */
  readonly bucket?: string;
  /** Copies of the bucket in a cluster. Default 1. */
  readonly replicas?: number;
  /**
   * Only keys below this, without it: with `shop`, the key `shop.database.host` is `database.host`. The key `shop`
   * itself may hold a table of them all as JSON, which then changes as one.
   */
  readonly prefix?: string;
};

/** The largest value of a key, and the most keys, that are read. */
const maxValueBytes = 1024 * 1024;
const maxKeys = 10_000;

/**
 * Configuration out of a NATS key-value bucket, followed as it changes. A key such as `database.host` is the value at
 * that path. A value that is JSON is read as such, a table of values included; any other is text. So
 * `nats kv put micro-config database.pool 10` is all that a change takes.
 *
 * While the bucket cannot be read, or holds nonsense, the last good values stay in force.
 */
export function natsSource(options: NatsSourceOptions = {}): ConfigSource {
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
  readonly #changes = new Latest<ConfigTable>();
  readonly #closing = new AbortController();
  /** What is followed for the readers of changes. */
  #following: BucketWatch | undefined;
  #entries = new Map<string, BucketEntry>();
  #values: ConfigTable | undefined;
  /** Whether a load failed, so that whoever watches has yet to be told what there is. */
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
      // What is told as a change has to differ from what was loaded.
      this.#values ??= values;
      this.#report(undefined);
      return values;
    } catch (error) {
      this.#untold = true;
      if (!this.#closing.signal.aborted && options.signal?.aborted !== true) {
        this.#report(asMicroError(error));
      }
      throw error;
    }
  }

  watch(options: { readonly signal?: AbortSignal } = {}): AsyncIterable<ConfigTable> {
    const subscription = this.#changes.subscribe({
      signal: options.signal,
      onEnd: () => {
        if (this.#changes.readers > 0) return;
        this.#following?.close();
        this.#following = undefined;
      },
    });
    if (this.#changes.readers > 0) this.#following ??= this.#follow();
    return subscription;
  }

  protected override async end(): Promise<void> {
    this.#closing.abort();
    this.#changes.close();
    this.#following?.close();
  }

  #follow(): BucketWatch {
    let begun = this.#values !== undefined;
    return new BucketWatch(this.#bucket, ">", {
      snapshot: (entries) => {
        this.#entries = new Map(entries.map((entry) => [entry.key, entry]));
        this.#publish(begun);
        begun = true;
      },
      change: (entry) => {
        this.#entries.set(entry.key, entry);
        this.#publish(true);
      },
      failed: (error) => this.#report(asMicroError(error)),
    });
  }

  #publish(tell: boolean): void {
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

  /** @throws MicroError `invalid_argument` when keys contradict each other or a value is no configuration. */
  #table(entries: readonly BucketEntry[]): ConfigTable {
    const live = entries.filter(({ key, deleted }) => !deleted && this.#concerns(key));
    if (live.length > maxKeys) {
      throw this.#nonsense("", `it has ${live.length} keys, and ${maxKeys} are allowed`);
    }
    const root: Record<string, unknown> = Object.create(null) as Record<string, unknown>;
    // Shorter keys first, so that a table and what stands below it come together.
    for (const entry of live.sort((a, b) => (a.key < b.key ? -1 : 1))) {
      if (entry.value.length > maxValueBytes) throw this.#nonsense(entry.key, "it is too large");
      const value = parse(Buffer.from(entry.value).toString());
      if (!entry.key.startsWith(this.#prefix)) {
        if (!isTable(value)) throw this.#nonsense(entry.key, "it is no table");
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
      if (last in table) throw this.#nonsense(key, "it stands in a table of another key as well");
      table[last] = value;
    }
    return checkTable(root, this.name);
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
      const closing = this.#closing.signal;
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
      const abort = () => {
        end();
        const reason = signal?.aborted === true ? signal.reason : undefined;
        reject(
          reason === undefined
            ? new MicroError("unavailable", `cannot load ${this.name}: the config source is closed`)
            : asMicroError(reason, "canceled"),
        );
      };
      const end = () => {
        watch.close();
        signal?.removeEventListener("abort", abort);
        closing.removeEventListener("abort", abort);
      };
      signal?.addEventListener("abort", abort, { once: true });
      closing.addEventListener("abort", abort, { once: true });
      if (signal?.aborted === true || closing.aborted) abort();
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

/** A value as JSON, where it is; otherwise as text. */
function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
