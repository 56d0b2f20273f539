import type { Store, StoreEvent, StoreRecord } from "@micro-es/runtime";
import {
  byteCountUpTo,
  checkDelete,
  checkKey,
  checkOptions,
  checkWrite,
  type DeleteOptions,
  ExpiryClock,
  fenceOf,
  type Listing,
  type ListOptions,
  quoteKey,
  requireFence,
  requireVersion,
  type StoreGuarantees,
  StoreReaders,
  type StoreWatchOptions,
  type WriteOptions,
} from "@micro-es/runtime/driver";
import type { Argument, Reply } from "../link/connection.ts";
import { redisPartKinds } from "../link/options.ts";
import { prefixKind, RedisPart, type RedisPartOptions } from "../link/part.ts";
import { StoreKeys } from "./keys.ts";
import { readPages } from "./pages.ts";
import { encodeMetadata, recordOf } from "./record.ts";
import { changeRecord, removeExpired } from "./scripts.ts";
import { RecordWatch } from "./watch.ts";

/** Options of {@link redisStore}. */
export type RedisStoreOptions = RedisPartOptions & {
  /** Maximum size of one value with its metadata, in bytes. Default 4,194,304. */
  readonly maxValueBytes?: number;
};

/** Redis takes at most 512 MiB as one argument. */
const mostValueBytes = 256 * 1024 * 1024;
/** Expired records are removed at this interval, in milliseconds. */
const sweepMs = 10_000;
/** How long after their expiry: the clocks of the processes may differ by that, in milliseconds. */
const marginMs = 10_000;
const sweepSize = 100;

/**
 * A store in Redis 7 and later, or Valkey, shared by all processes on the same server. Every
 * change is a script, which compares the version and the tokens of locks and writes in one step.
 *
 * An expired record cannot be read, by the reader's clock; it is removed soon while a process that
 * writes such records has the store open.
 *
 * What is acknowledged is as durable as the server: see the option `durability`.
 *
 * @throws MicroError `invalid_argument` for invalid options.
 * @example
 * ```ts
 * import { redisStore } from "@micro-es/redis";
 *
 * await using store = redisStore({ servers: "127.0.0.1:6379" });
 * await store.write("greeting", new TextEncoder().encode("Hello"));
 * ```
 */
export function redisStore(options: RedisStoreOptions = {}): Store {
  const own = { prefix: prefixKind, maxValueBytes: byteCountUpTo(mostValueBytes) };
  checkOptions("redisStore", options, { ...redisPartKinds, ...own });
  return new RedisStore(options);
}

class RedisStore extends RedisPart implements Store {
  readonly name = "redis";
  readonly guarantees: StoreGuarantees;
  readonly #keys: StoreKeys;
  readonly #clock = new ExpiryClock();
  readonly #readers = new StoreReaders();
  #sweep: NodeJS.Timeout | undefined;

  constructor({ maxValueBytes = 4 * 1024 * 1024, ...options }: RedisStoreOptions) {
    super(options, "store");
    this.#keys = new StoreKeys(this.prefix);
    this.guarantees = {
      reads: "linearizable",
      durability: this.link.durability,
      compareAndSet: true,
      fencing: true,
      watch: true,
      sharing: "backend",
      maxKeyBytes: 1024,
      maxValueBytes,
    };
  }

  async open(): Promise<void> {
    this.check("open the store");
    await this.link.open();
  }

  async read(key: string): Promise<StoreRecord | undefined> {
    checkKey("read", key, this.guarantees.maxKeyBytes, this.isClosing);
    const fields = ["value", "metadata", "expires", "version"];
    const what = `read store key ${quoteKey(key)}`;
    const values = await this.link.send("HMGET", [this.#keys.records + key, ...fields], what);
    const record = recordOf(key, values as readonly Reply[]);
    return record !== undefined && this.#isLive(record) ? record : undefined;
  }

  async write(key: string, value: Uint8Array, options: WriteOptions = {}): Promise<bigint> {
    checkKey("write", key, this.guarantees.maxKeyBytes, this.isClosing);
    const now = this.#clock.now();
    const {
      value: bytes,
      metadata,
      expiresAt,
    } = checkWrite(key, value, options, now, this.guarantees.maxValueBytes);
    if (expiresAt !== undefined) this.#beginSweep();
    const changed = [bytes, encodeMetadata(metadata), expiresAt ?? ""];
    const { version } = await this.#change("write", key, options, changed);
    return version;
  }

  async delete(key: string, options: DeleteOptions = {}): Promise<boolean> {
    checkKey("delete", key, this.guarantees.maxKeyBytes, this.isClosing);
    checkDelete(key, options);
    return (await this.#change("delete", key, options, [])).existed;
  }

  list(options?: ListOptions): AsyncIterable<StoreRecord> {
    return this.#readers.list(
      options,
      (listing, signals) => this.#pages(listing, signals),
      (record) => (this.#isLive(record) ? record : undefined),
    );
  }

  watch(options: StoreWatchOptions = {}): AsyncIterable<StoreEvent> {
    return this.#readers.watch(options, (sink) => {
      const watch = new RecordWatch(this.link, this.#keys, sink, this.#clock);
      return () => watch.close();
    });
  }

  protected override async end(): Promise<void> {
    this.#readers.end();
    clearInterval(this.#sweep);
  }

  /** @throws MicroError `aborted` when the version or the fence is not as required. */
  async #change(
    action: "write" | "delete",
    key: string,
    options: DeleteOptions,
    changed: readonly Argument[],
  ): Promise<{ readonly version: bigint; readonly existed: boolean }> {
    const { records, all, expiring, version, tokens, channel } = this.#keys;
    const fence = fenceOf(options);
    const { ifVersion } = options;
    const conditions = [ifVersion ?? "", fence?.lock ?? "", fence?.token ?? ""].map(String);
    const [result, number, existed] = (await this.link.run(
      changeRecord,
      [records + key, all, expiring, version, tokens],
      [key, action, String(this.#clock.now()), ...conditions, channel, ...changed],
      `${action} store key ${quoteKey(key)}`,
    )) as readonly Reply[];
    const found = BigInt(String(number));
    if (String(result) === "version") requireVersion(key, ifVersion, found, action);
    if (String(result) === "fence") requireFence(key, fence, found);
    return { version: found, existed: existed === 1 };
  }

  async *#pages(
    { prefix, suffix, after, limit, offset }: Listing,
    signals: readonly (AbortSignal | undefined)[],
  ): AsyncGenerator<readonly StoreRecord[], void, undefined> {
    const wanted = limit + offset;
    const size = suffix === "" && wanted < 64 ? { pageSize: wanted } : {};
    const range = { prefix, after, ...size };
    const pages = readPages(this.link, this.#keys, range, signals, "list the store");
    for await (const { records } of pages) yield records;
  }

  #isLive({ expiresAt }: StoreRecord): boolean {
    return expiresAt === undefined || expiresAt.getTime() > this.#clock.now();
  }

  /** Removes expired records from now on, as long as the store is open. */
  #beginSweep(): void {
    if (this.#sweep !== undefined || this.isClosing) return;
    this.#sweep = setInterval(
      () => void this.#removeExpired(),
      sweepMs * (0.75 + Math.random() / 2),
    );
    this.#sweep.unref();
  }

  async #removeExpired(): Promise<void> {
    const { records, all, expiring } = this.#keys;
    const before = String(this.#clock.now() - marginMs);
    const args = [records, before, sweepSize, marginMs];
    try {
      let removed = sweepSize;
      while (removed === sweepSize && !this.isClosing && this.link.connected) {
        const what = "remove expired records";
        removed = Number(await this.link.run(removeExpired, [all, expiring], args, what));
      }
    } catch {
      // The next sweep removes them, of this process or of another one.
    }
  }
}
