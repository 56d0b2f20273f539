import type { Buffer } from "node:buffer";
import { resolve as resolvePath } from "node:path";
import { throwIfAborted, untilAborted } from "../../base/abort.ts";
import { type BackendState, BackendStatus, type StateListener } from "../../base/backend-state.ts";
import { Closable } from "../../base/closable.ts";
import { DeadlineSweep, monotonicNow } from "../../base/deadline.ts";
import { asMicroError, type MicroError } from "../../base/error.ts";
import { byteCount, checkOptions, flag, required, text } from "../../base/option-check.ts";
import { ExpiryClock } from "../expiry-clock.ts";
import { checkListing, type Listing } from "../key.ts";
import type {
  DeleteOptions,
  ListOptions,
  Store,
  StoreEvent,
  StoreGuarantees,
  StoreRecord,
  StoreWatchOptions,
  WriteOptions,
} from "../store.ts";
import { checkDelete, checkKey, checkWrite, fenceOf, requireOpen } from "../validate-write.ts";
import { StoreWatchers, type WatchSink } from "../watcher.ts";
import { type DatabaseOptions, FileDatabase } from "./database.ts";
import { fileStoreGuarantees } from "./guarantees.ts";
import { decodeRecord, endOfPrefix, recordKey, toStoreRecord } from "./record.ts";
import { firstExpiry, removeExpired } from "./sweep.ts";
import { WriteQueue } from "./write-queue.ts";

/** Where and how a {@link fileStore} keeps its records. */
export interface FileStoreOptions {
  /** A directory for this store only; created, readable only by its owner, if it does not exist. */
  readonly path: string;
  /**
   * Whether a write waits until it is on disk, so that it survives a power failure. Without it a
   * write is much faster and survives the end of the process, including SIGKILL. Default true.
   */
  readonly sync?: boolean;
  /** Maximum size of one value with its metadata, in bytes. Default 16 MiB. */
  readonly maxValueBytes?: number;
  /**
   * Opens a damaged store with the data that can be read. Records may be missing or old afterwards;
   * without it a damaged store is an error. Default false.
   */
  readonly repair?: boolean;
}

/** A store in a directory. */
export interface FileStore extends Store {
  /**
   * Opens the directory ahead of the first use.
   * @throws MicroError as {@link fileStore} describes; the next use tries again.
   */
  open(): Promise<void>;
}

/**
 * The system's clock may jump forward, and the sweep follows it within this time, in milliseconds.
 */
const longestSweepMs = 30_000;

/**
 * Creates a store in a directory, on LevelDB through the package `classic-level`, which the
 * application installs.
 *
 * It is crash safe: however the process ends, every acknowledged write is present afterwards and no
 * record is torn. Only one store of one process has the directory open at a time. Versions come
 * from one counter for the whole store. Damaged files are a `data_loss` error and never a wrong
 * value.
 *
 * The library and the directory are opened on first use, or by {@link FileStore.open}. Either
 * rejects with `failed_precondition` when the directory is open elsewhere or `classic-level` is not
 * installed, `data_loss` when its files are damaged, `resource_exhausted` when the disk is full,
 * and `unavailable` when the file system fails otherwise.
 *
 * @throws MicroError `invalid_argument` without a path.
 *
 * @example
 * ```ts
 * import { fileStore } from "@micro-es/runtime/store/file";
 *
 * await using store = fileStore({ path: "data" });
 * const record = await store.read("greeting");
 * ```
 */
export function fileStore(options: FileStoreOptions): FileStore {
  checkOptions("fileStore", options, {
    path: required(text),
    sync: flag,
    maxValueBytes: byteCount,
    repair: flag,
  });
  const path = resolvePath(options.path);
  const { sync = true, repair = false } = options;
  return new LevelStore(
    { path, sync, repair },
    {
      ...fileStoreGuarantees,
      durability: sync ? "power-loss" : "process-crash",
      maxValueBytes: options.maxValueBytes ?? fileStoreGuarantees.maxValueBytes,
    },
  );
}

class LevelStore extends Closable implements FileStore {
  readonly name: string = "file";
  readonly guarantees: StoreGuarantees;
  readonly #database: FileDatabase;
  readonly #clock = new ExpiryClock();
  readonly #status = new BackendStatus();
  readonly #queue: WriteQueue;
  readonly #watchers = new StoreWatchers();
  readonly #sweep = new DeadlineSweep(() => {
    void this.#sweepOnce();
    return Number.POSITIVE_INFINITY;
  });

  constructor(options: DatabaseOptions, guarantees: StoreGuarantees) {
    super();
    this.#database = new FileDatabase(options, (failure) => this.#opened(failure));
    this.guarantees = guarantees;
    this.#queue = new WriteQueue(this.#database, this.#clock, this.#status, (key, contents) => {
      if (contents === undefined) this.#watchers.deleted(key);
      else this.#watchers.written(key, () => toStoreRecord(key, contents));
    });
  }

  get state(): BackendState {
    return this.#status.state;
  }

  onStateChange(listener: StateListener): () => void {
    return this.#status.onStateChange(listener);
  }

  async open(): Promise<void> {
    requireOpen(this.isClosing, "open the store");
    await this.#database.ready();
  }

  async read(key: string): Promise<StoreRecord | undefined> {
    const bytes = checkKey("read", key, this.guarantees.maxKeyBytes, this.isClosing);
    const found = await this.#database.get(recordKey(bytes));
    return found === undefined ? undefined : this.#live(key, bytes, found);
  }

  async write(key: string, value: Uint8Array, options: WriteOptions = {}): Promise<bigint> {
    const bytes = checkKey("write", key, this.guarantees.maxKeyBytes, this.isClosing);
    const now = this.#clock.now();
    const write = checkWrite(key, value, options, now, this.guarantees.maxValueBytes);
    const version = await this.#queue.add<bigint>({
      key,
      bytes,
      write,
      ifVersion: write.ifVersion,
      fence: fenceOf(options),
    });
    if (write.expiresAt !== undefined && !this.isClosing) {
      this.#sweep.watch(monotonicNow() + Math.min(write.expiresAt - now, longestSweepMs));
    }
    return version;
  }

  async delete(key: string, options: DeleteOptions = {}): Promise<boolean> {
    const bytes = checkKey("delete", key, this.guarantees.maxKeyBytes, this.isClosing);
    checkDelete(key, options);
    return this.#queue.add<boolean>({
      key,
      bytes,
      write: undefined,
      ifVersion: options.ifVersion,
      fence: fenceOf(options),
    });
  }

  list(options?: ListOptions): AsyncIterable<StoreRecord> {
    const listing = checkListing(options);
    return { [Symbol.asyncIterator]: () => this.#list(listing) };
  }

  watch(options: StoreWatchOptions = {}): AsyncIterable<StoreEvent> {
    requireOpen(this.isClosing, "watch the store");
    const { prefix, signal } = checkListing(options);
    return {
      [Symbol.asyncIterator]: () =>
        this.#watchers.watch(prefix, signal, (sink, follow) => void this.#begin(sink, follow)),
    };
  }

  #opened(failure: MicroError | undefined): void {
    if (this.isClosing) return;
    if (failure !== undefined) {
      this.#status.set("lost", failure);
      return;
    }
    this.#status.set("healthy");
    // Records that expired while the store was closed are removed now.
    this.#sweep.watch(monotonicNow());
  }

  /** Sends a watch the current records, between two changes. */
  async #begin(sink: WatchSink, follow: () => void): Promise<void> {
    try {
      await this.#queue.exclusively(async () => {
        const records: StoreRecord[] = [];
        for await (const record of this.list({ prefix: sink.prefix })) records.push(record);
        sink.snapshot(records);
        follow();
      });
    } catch (error) {
      // The watch of a store that closes has already ended.
      sink.fail(asMicroError(error));
    }
  }

  protected override async closeOnce(): Promise<void> {
    this.#watchers.end();
    this.#sweep.close();
    await this.#queue.close();
    this.#sweep.close();
    await this.#database.close();
  }

  async *#list(listing: Listing): AsyncGenerator<StoreRecord, void, undefined> {
    const { prefix, suffix, after, signal } = listing;
    let { limit, offset } = listing;
    throwIfAborted(signal);
    requireOpen(this.isClosing, "list the store");
    if (limit === 0) return;
    await untilAborted(this.#database.ready(), signal);
    const first = recordKey(prefix);
    const cursor = after === undefined ? undefined : recordKey(after);
    const start =
      cursor !== undefined && cursor.compare(first) >= 0 ? { gt: cursor } : { gte: first };
    const range = { ...start, lt: endOfPrefix(first) };
    for await (const [entry, found] of this.#database.entries(range)) {
      throwIfAborted(signal);
      requireOpen(this.isClosing, "list the store");
      const bytes = entry.subarray(1);
      const key = bytes.toString();
      if (!key.endsWith(suffix)) continue;
      const record = this.#live(key, bytes, found);
      if (record === undefined) continue;
      if (offset > 0) {
        offset--;
        continue;
      }
      yield record;
      if (--limit === 0) return;
    }
  }

  /** Decodes the record from these bytes, unless it has expired. */
  #live(key: string, bytes: Uint8Array, found: Buffer): StoreRecord | undefined {
    const contents = decodeRecord(bytes, found);
    if (contents === undefined) throw this.#database.damagedRecord(key);
    const { expiresAt } = contents;
    if (expiresAt !== undefined && expiresAt <= this.#clock.now()) return undefined;
    return toStoreRecord(key, contents);
  }

  /** Removes some of the expired records; the queue keeps this from interleaving with writes. */
  async #sweepOnce(): Promise<void> {
    try {
      const next = await this.#queue.exclusively(async () => {
        const removed = await removeExpired(this.#database, this.#clock.now());
        for (const key of removed) this.#watchers.deleted(key);
        return firstExpiry(this.#database);
      });
      this.#status.set("healthy");
      if (next === undefined || this.isClosing) return;
      const delay = Math.min(next - this.#clock.now(), longestSweepMs);
      this.#sweep.watch(monotonicNow() + Math.max(delay, 0));
    } catch (error) {
      if (this.isClosing) return;
      this.#status.set("degraded", asMicroError(error));
      this.#sweep.watch(monotonicNow() + longestSweepMs);
    }
  }
}
