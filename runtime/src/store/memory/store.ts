import { setImmediate } from "node:timers/promises";
import { throwIfAborted } from "../../base/abort.ts";
import { type BackendState, BackendStatus, type StateListener } from "../../base/backend-state.ts";
import { Closable } from "../../base/closable.ts";
import { DeadlineSweep, monotonicNow } from "../../base/deadline.ts";
import { MicroError } from "../../base/error.ts";
import { byteCount, checkOptions, count } from "../../base/option-check.ts";
import { ExpiryClock } from "../expiry-clock.ts";
import { checkListing, compareKeys, type Listing } from "../key.ts";
import { SortedKeys } from "../sorted-keys.ts";
import type {
  DeleteOptions,
  Fence,
  ListOptions,
  Store,
  StoreEvent,
  StoreGuarantees,
  StoreRecord,
  StoreWatchOptions,
  WriteOptions,
} from "../store.ts";
import {
  checkDelete,
  checkKey,
  checkWrite,
  fenceOf,
  quoteKey,
  requireFence,
  requireOpen,
  requireVersion,
  type Write,
} from "../validate-write.ts";
import { StoreWatchers } from "../watcher.ts";

/** Limits of a {@link memoryStore}. */
export interface MemoryStoreOptions {
  /** Total size of keys, values and metadata, in bytes. Default 256 MiB. */
  readonly maxBytes?: number;
  /** Maximum number of records. Default 1 000 000. */
  readonly maxRecords?: number;
  /** Maximum size of one value with its metadata, in bytes. Default 16 MiB. */
  readonly maxValueBytes?: number;
}

/**
 * Creates a store in this process's memory. Its records are lost when the process ends. A full
 * store rejects writes with `resource_exhausted` and evicts nothing.
 *
 * @example
 * ```ts
 * import { memoryStore } from "@micro-es/runtime";
 *
 * await using store = memoryStore();
 * await store.write("greeting", new TextEncoder().encode("Hello"), { ttlMs: 60_000 });
 * ```
 */
export function memoryStore(options: MemoryStoreOptions = {}): Store {
  checkOptions("memoryStore", options, {
    maxBytes: byteCount,
    maxRecords: count,
    maxValueBytes: byteCount,
  });
  return new MemoryStore(options);
}

interface Entry extends Write {
  readonly version: bigint;
  readonly size: number;
}

/** Records removed by one sweep; the rest wait for the next turn of the event loop. */
const sweepStep = 1000;
/** The system's clock may jump forward, and expiry follows it within this time, in milliseconds. */
const longestSweepMs = 30_000;

class MemoryStore extends Closable implements Store {
  readonly name: string = "memory";
  readonly guarantees: StoreGuarantees;
  readonly #maxBytes: number;
  readonly #maxRecords: number;
  readonly #entries = new Map<string, Entry>();
  readonly #keys = new SortedKeys();
  /** Records with an expiry, earliest first. */
  readonly #expiries = new SortedKeys();
  /** The largest token received for each lock. */
  readonly #fences = new Map<string, bigint>();
  readonly #clock = new ExpiryClock();
  readonly #sweep = new DeadlineSweep(() => this.#removeExpired());
  readonly #status = new BackendStatus();
  readonly #watchers = new StoreWatchers();
  #bytes = 0;
  #version = 0n;

  constructor(options: MemoryStoreOptions) {
    super();
    this.#maxBytes = options.maxBytes ?? 256 * 1024 * 1024;
    this.#maxRecords = options.maxRecords ?? 1_000_000;
    this.guarantees = {
      reads: "linearizable",
      durability: "none",
      compareAndSet: true,
      fencing: true,
      watch: true,
      sharing: "process",
      maxKeyBytes: 64 * 1024,
      maxValueBytes: options.maxValueBytes ?? 16 * 1024 * 1024,
    };
  }

  get state(): BackendState {
    return this.#status.state;
  }

  onStateChange(listener: StateListener): () => void {
    return this.#status.onStateChange(listener);
  }

  async read(key: string): Promise<StoreRecord | undefined> {
    checkKey("read", key, this.guarantees.maxKeyBytes, this.isClosing);
    const entry = this.#live(key);
    return entry === undefined ? undefined : record(key, entry);
  }

  async write(key: string, value: Uint8Array, options: WriteOptions = {}): Promise<bigint> {
    const keyBytes = checkKey("write", key, this.guarantees.maxKeyBytes, this.isClosing);
    const now = this.#clock.now();
    const write = checkWrite(key, value, options, now, this.guarantees.maxValueBytes);
    const fence = fenceOf(options);
    this.#requireFence(key, fence);
    requireVersion(key, write.ifVersion, this.#live(key)?.version ?? 0n, "write");
    const size = keyBytes.length + write.bytes;
    this.#makeRoom(key, size);
    if (fence !== undefined) this.#fences.set(fence.lock, fence.token);
    const version = ++this.#version;
    this.#remove(key);
    const entry = { ...write, version, size };
    this.#entries.set(key, entry);
    this.#keys.add(key);
    this.#bytes += size;
    if (write.expiresAt !== undefined) {
      this.#expiries.add(expiryEntry(write.expiresAt, key));
      this.#sweep.watch(monotonicNow() + Math.min(write.expiresAt - now, longestSweepMs));
    }
    this.#watchers.written(key, () => record(key, entry));
    return version;
  }

  async delete(key: string, options: DeleteOptions = {}): Promise<boolean> {
    checkKey("delete", key, this.guarantees.maxKeyBytes, this.isClosing);
    checkDelete(key, options);
    const entry = this.#live(key);
    const fence = fenceOf(options);
    this.#requireFence(key, fence);
    requireVersion(key, options.ifVersion, entry?.version ?? 0n, "delete");
    if (fence !== undefined) this.#fences.set(fence.lock, fence.token);
    this.#end(key);
    return entry !== undefined;
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
        this.#watchers.watch(prefix, signal, (sink, follow) => {
          sink.snapshot(this.#snapshot(prefix));
          follow();
        }),
    };
  }

  protected override async closeOnce(): Promise<void> {
    this.#watchers.end();
    this.#sweep.close();
    this.#entries.clear();
  }

  async *#list(listing: Listing): AsyncGenerator<StoreRecord, void, undefined> {
    const { prefix, suffix, after, signal } = listing;
    let { limit, offset } = listing;
    let passedOver = 0;
    throwIfAborted(signal);
    requireOpen(this.isClosing, "list the store");
    let key =
      after !== undefined && compareKeys(after, prefix) >= 0
        ? this.#keys.after(after)
        : this.#keys.from(prefix);
    while (limit > 0 && key?.startsWith(prefix)) {
      const entry = key.endsWith(suffix) ? this.#live(key) : undefined;
      if (entry === undefined || offset > 0) {
        if (entry !== undefined) offset--;
        // A listing that matches little must not block everything else.
        if (++passedOver % 1000 === 0) await setImmediate();
      } else {
        limit--;
        yield record(key, entry);
      }
      throwIfAborted(signal);
      requireOpen(this.isClosing, "list the store");
      key = this.#keys.after(key);
    }
  }

  #snapshot(prefix: string): readonly StoreRecord[] {
    const records: StoreRecord[] = [];
    let key = this.#keys.from(prefix);
    while (key?.startsWith(prefix)) {
      const entry = this.#live(key);
      if (entry !== undefined) records.push(record(key, entry));
      key = this.#keys.after(key);
    }
    return records;
  }

  /** The entry of a key, unless it has expired. */
  #live(key: string): Entry | undefined {
    const entry = this.#entries.get(key);
    if (entry?.expiresAt === undefined || entry.expiresAt > this.#clock.now()) return entry;
    this.#end(key);
    return undefined;
  }

  /** Removes a record permanently. */
  #end(key: string): void {
    if (!this.#entries.has(key)) return;
    this.#remove(key);
    this.#watchers.deleted(key);
  }

  #remove(key: string): void {
    const entry = this.#entries.get(key);
    if (entry === undefined) return;
    this.#entries.delete(key);
    this.#keys.remove(key);
    this.#bytes -= entry.size;
    if (entry.expiresAt !== undefined) this.#expiries.remove(expiryEntry(entry.expiresAt, key));
  }

  /** @throws MicroError `resource_exhausted` when a record of this size does not fit. */
  #makeRoom(key: string, size: number): void {
    const fits = () => {
      const old = this.#entries.get(key);
      const records = this.#entries.size + (old === undefined ? 1 : 0);
      const bytes = this.#bytes - (old?.size ?? 0) + size;
      return records <= this.#maxRecords && bytes <= this.#maxBytes;
    };
    while (!fits()) {
      if (this.#removeStep() > 0) continue;
      throw new MicroError(
        "resource_exhausted",
        `cannot write store key ${quoteKey(key)}: the memory store is full, with ${this.#entries.size} of ` +
          `${this.#maxRecords} records and ${this.#bytes} of ${this.#maxBytes} bytes; delete records, or raise ` +
          "maxRecords or maxBytes",
        { outcome: "not-executed" },
      );
    }
  }

  /**
   * @throws MicroError `aborted` for a token that is too small; `resource_exhausted` when there are
   * too many locks.
   */
  #requireFence(key: string, fence: Fence | undefined): void {
    if (fence === undefined) return;
    const largest = this.#fences.get(fence.lock);
    requireFence(key, fence, largest);
    if (largest !== undefined || this.#fences.size < this.#maxRecords) return;
    throw new MicroError(
      "resource_exhausted",
      `cannot change store key ${quoteKey(key)}: the store remembers the tokens of ${this.#fences.size} locks ` +
        "and takes no more; use fewer lock ids, or raise maxRecords",
      { outcome: "not-executed" },
    );
  }

  /** Removes some expired records, and returns the monotonic time of the next sweep. */
  #removeExpired(): number {
    this.#removeStep();
    const next = this.#expiries.first();
    if (next === undefined) return Number.POSITIVE_INFINITY;
    const delay = expiryOf(next) - this.#clock.now();
    return monotonicNow() + Math.min(delay, longestSweepMs);
  }

  #removeStep(): number {
    const now = this.#clock.now();
    for (let removed = 0; removed < sweepStep; removed++) {
      const next = this.#expiries.first();
      if (next === undefined || expiryOf(next) > now) return removed;
      this.#end(next.slice(expiryDigits));
    }
    return sweepStep;
  }
}

function record(key: string, entry: Entry): StoreRecord {
  return {
    key,
    value: new Uint8Array(entry.value),
    version: entry.version,
    expiresAt: entry.expiresAt === undefined ? undefined : new Date(entry.expiresAt),
    metadata: entry.metadata,
  };
}

const expiryDigits = 16;

function expiryEntry(expiresAt: number, key: string): string {
  return expiresAt.toString().padStart(expiryDigits, "0") + key;
}

function expiryOf(entry: string): number {
  return Number(entry.slice(0, expiryDigits));
}
