import type { Store, StoreEvent, StoreRecord } from "@micro-es/runtime";
import {
  byteCount,
  checkDelete,
  checkKey,
  checkOptions,
  checkWrite,
  type DeleteOptions,
  ExpiringRecords,
  ExpiryClock,
  KeyLanes,
  type ListOptions,
  quoteKey,
  type StoreGuarantees,
  StoreReaders,
  type StoreWatchOptions,
  type WriteOptions,
} from "@micro-es/runtime/driver";
import { type EtcdEntry, entryOf, singleKey, withPrefix } from "../link/entries.ts";
import { etcdFailure } from "../link/failure.ts";
import { range } from "../link/methods.ts";
import { etcdPartKinds } from "../link/options.ts";
import { EtcdPart, type EtcdPartOptions, prefixKind } from "../link/part.ts";
import { deleteOperation, putOperation } from "../link/txn.ts";
import { KeyChange } from "./change.ts";
import { ExpiryLeases } from "./expiry-leases.ts";
import { readPages } from "./list.ts";
import { encodeValue, expiryOf, recordOf } from "./record.ts";
import { RecordFollower } from "./watch.ts";

/** Where an {@link etcdStore} keeps its records, and how it connects. */
export type EtcdStoreOptions = EtcdPartOptions & {
  /** The prefix of all keys; a different prefix is a separate store. Default `/micro/store`. */
  readonly prefix?: string;
  /**
   * Maximum size of one value with its metadata, in bytes; etcd's own limit for a request, 1.5 MiB
   * by default, is above it. Default 1,000,000.
   */
  readonly maxValueBytes?: number;
};

/** Maximum attempts of a write whose lease etcd has lost. */
const maxLeases = 3;

/**
 * A store in etcd (3.4 and later), shared by all processes on the same cluster. Values are stored
 * as they are, so that `etcdctl get` shows them; one with metadata or an expiry comes after a line
 * with both. Versions are etcd's revisions.
 *
 * An expired record cannot be read, by the reader's clock. A lease of etcd removes it later.
 *
 * @throws MicroError `invalid_argument` for invalid options.
 * @example
 * ```ts
 * import { etcdStore } from "@micro-es/etcd";
 *
 * await using store = etcdStore({ endpoints: "http://127.0.0.1:2379" });
 * await store.write("greeting", new TextEncoder().encode("Hello"));
 * ```
 */
export function etcdStore(options: EtcdStoreOptions = {}): Store {
  const own = { prefix: prefixKind, maxValueBytes: byteCount };
  checkOptions("etcdStore", options, { ...etcdPartKinds, ...own });
  return new EtcdStore(options);
}

class EtcdStore extends EtcdPart implements Store {
  readonly name = "etcd";
  readonly guarantees: StoreGuarantees;
  readonly #records: string;
  readonly #fences: string;
  readonly #clock = new ExpiryClock();
  readonly #leases: ExpiryLeases;
  readonly #lanes = new KeyLanes();
  readonly #readers = new StoreReaders();

  constructor({ prefix = "/micro/store", maxValueBytes, ...options }: EtcdStoreOptions) {
    super(options, "store");
    this.#records = `${prefix}/records/`;
    this.#fences = `${prefix}/fences/`;
    this.#leases = new ExpiryLeases(this.link, this.#clock);
    this.guarantees = {
      reads: "linearizable",
      durability: "power-loss",
      compareAndSet: true,
      fencing: true,
      watch: true,
      sharing: "backend",
      maxKeyBytes: 512,
      maxValueBytes: maxValueBytes ?? 1_000_000,
    };
  }

  async read(key: string): Promise<StoreRecord | undefined> {
    checkKey("read", key, this.guarantees.maxKeyBytes, this.isClosing);
    const what = `read store key ${quoteKey(key)}`;
    const { kvs } = await this.link.call(range, singleKey(this.#records + key), what);
    const [kv] = kvs;
    return kv === undefined ? undefined : this.#recordOf(entryOf(kv, false));
  }

  async write(key: string, value: Uint8Array, options: WriteOptions = {}): Promise<bigint> {
    checkKey("write", key, this.guarantees.maxKeyBytes, this.isClosing);
    const now = this.#clock.now();
    const write = checkWrite(key, value, options, now, this.guarantees.maxValueBytes);
    const change = this.#change("write", key, options);
    const bytes = encodeValue(write.value, write);
    const { expiresAt } = write;
    return this.#lanes.run(key, async () => {
      for (let attempt = 1; ; attempt++) {
        const lease =
          expiresAt === undefined ? 0n : await this.#leases.leaseFor(expiresAt, change.what);
        try {
          return (await change.run(putOperation(change.recordKey, bytes, lease))).revision;
        } catch (error) {
          // It ended, or etcd lost its data.
          const isLost = lease !== 0n && etcdFailure(error, change.what).code === "not_found";
          if (!isLost || attempt === maxLeases) throw error;
          await this.#leases.lost(lease);
        }
      }
    });
  }

  async delete(key: string, options: DeleteOptions = {}): Promise<boolean> {
    checkKey("delete", key, this.guarantees.maxKeyBytes, this.isClosing);
    checkDelete(key, options);
    const change = this.#change("delete", key, options);
    const { previous } = await this.#lanes.run(key, () =>
      change.run(deleteOperation(change.recordKey)),
    );
    return previous !== undefined && this.#isLive(previous);
  }

  list(options?: ListOptions): AsyncIterable<StoreRecord> {
    return this.#readers.list(
      options,
      (listing, signals) => readPages(this.link, this.#records, listing, signals),
      (kv) => this.#recordOf(entryOf(kv, false)),
    );
  }

  watch(options: StoreWatchOptions = {}): AsyncIterable<StoreEvent> {
    return this.#readers.watch(options, (sink) => {
      const records = new ExpiringRecords(sink, this.#clock);
      const follower = new RecordFollower(
        records,
        (entry) => this.#keyOf(entry),
        (entry) => recordOf(this.#keyOf(entry), entry),
        (value) => this.#isLive(value),
      );
      const keys = withPrefix(this.#records + sink.prefix);
      const all = Number.POSITIVE_INFINITY;
      const watch = this.watches.watch(keys, "watch the store", all, follower);
      return () => {
        watch.close();
        records.close();
      };
    });
  }

  protected override async end(): Promise<void> {
    this.#readers.end();
    await this.#lanes.settled();
  }

  #change(action: "write" | "delete", key: string, options: DeleteOptions): KeyChange {
    return new KeyChange(this.link, action, key, options, {
      recordKey: singleKey(this.#records + key).key,
      fencesKey: singleKey(this.#fences + key).key,
      isLive: (value) => this.#isLive(value),
    });
  }

  /** The record in an entry that exists; undefined if it has expired. */
  #recordOf(entry: EtcdEntry): StoreRecord | undefined {
    return this.#isLive(entry.value) ? recordOf(this.#keyOf(entry), entry) : undefined;
  }

  #isLive(value: Uint8Array): boolean {
    return expiryOf(value) > this.#clock.now();
  }

  #keyOf({ key }: EtcdEntry): string {
    return key.slice(this.#records.length);
  }
}
