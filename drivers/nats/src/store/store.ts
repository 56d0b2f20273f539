import { Buffer } from "node:buffer";
import type { Store, StoreEvent, StoreRecord } from "@micro-es/runtime";
import type { Fence, StoreGuarantees } from "@micro-es/runtime/driver";
import {
  byteCount,
  checkDelete,
  checkKey,
  checkOptions,
  checkWrite,
  compareKeys,
  type DeleteOptions,
  ExpiryClock,
  fenceOf,
  KeyLanes,
  type Listing,
  type ListOptions,
  oneOf,
  quoteKey,
  requireFence,
  requireVersion,
  StoreReaders,
  type StoreWatchOptions,
  text,
  untilAborted,
  type WriteOptions,
} from "@micro-es/runtime/driver";
import { type BucketEntry, NatsBucket } from "../link/bucket.ts";
import { snapshotOf } from "../link/bucket-snapshot.ts";
import { NatsDriver, type NatsDriverOptions } from "../link/driver.ts";
import { isWrongSequence, natsFailure } from "../link/failure.ts";
import { natsDriverKinds, replicas } from "../link/option-kinds.ts";
import { decodeToken, encodeToken } from "../link/token.ts";
import { OwnExpiries } from "./expiry.ts";
import { decodeHeaders, encodeHeaders, type RecordHeaders } from "./headers.ts";
import { RecordWatch } from "./watch.ts";

/** Where a {@link natsStore} keeps its records. */
export type NatsStoreOptions = NatsDriverOptions & {
  /** The key-value bucket; created if it does not exist. Default `micro-store`. */
  readonly bucket?: string;
  /** How a new bucket is stored. Default `file`. */
  readonly storage?: "file" | "memory";
  /** Replicas of the bucket in a cluster. Default 1. */
  readonly replicas?: number;
  /**
   * Maximum size of one value with its metadata, in bytes; the server's own limit, 1 MiB by
   * default, is above it. Default 1,000,000.
   */
  readonly maxValueBytes?: number;
};

/** The number of records that a listing reads at once. */
const readAhead = 32;
/** Maximum attempts of a change that keeps losing to other processes. */
const maxAttempts = 100;

/**
 * A store in a NATS key-value bucket, shared by all processes on the same servers. Values are
 * stored unencoded, so that `nats kv get` shows them; metadata, expiry and fence are in headers.
 * Versions are the bucket's revisions.
 *
 * An expired record cannot be read, by the reader's clock. The process that wrote it removes it
 * then; if that process is gone, the next reader that finds it does.
 *
 * @example
 * ```ts
 * import { natsStore } from "@micro-es/nats";
 *
 * await using store = natsStore({ servers: "nats://127.0.0.1:4222" });
 * await store.write("greeting", new TextEncoder().encode("Hello"));
 * ```
 */
export function natsStore(options: NatsStoreOptions = {}): Store {
  checkOptions("natsStore", options, {
    ...natsDriverKinds,
    bucket: text,
    storage: oneOf("file", "memory"),
    replicas,
    maxValueBytes: byteCount,
  });
  return new BucketStore(options);
}

/** A record, or the remains of a deleted one. */
interface Found extends RecordHeaders {
  readonly entry: BucketEntry;
  readonly live: boolean;
}

class BucketStore extends NatsDriver implements Store {
  readonly name = "nats";
  readonly guarantees: StoreGuarantees;
  readonly #bucket: NatsBucket;
  readonly #clock = new ExpiryClock();
  readonly #expiries: OwnExpiries;
  readonly #readers = new StoreReaders();
  readonly #lanes = new KeyLanes();

  constructor(options: NatsStoreOptions) {
    super(options, "store");
    const storage = options.storage ?? "file";
    this.#bucket = new NatsBucket(this.link, options.bucket ?? "micro-store", {
      storage,
      replicas: options.replicas ?? 1,
    });
    this.guarantees = {
      reads: "read-your-writes",
      durability: storage === "file" ? "process-crash" : "none",
      compareAndSet: true,
      fencing: true,
      watch: true,
      sharing: "backend",
      maxKeyBytes: 512,
      maxValueBytes: options.maxValueBytes ?? 1_000_000,
    };
    this.#expiries = new OwnExpiries(
      this.#clock,
      () => this.link.connected,
      async (key, { revision, fences }) => {
        try {
          await this.#remove(encodeToken(key), revision, fences);
        } catch (error) {
          // Another process changed the record, and has handled it.
          if (!isWrongSequence(error)) throw error;
        }
      },
    );
  }

  async read(key: string): Promise<StoreRecord | undefined> {
    checkKey("read", key, this.guarantees.maxKeyBytes, this.isClosing);
    const found = this.#judge(await this.#bucket.get(encodeToken(key)));
    return found?.live === true ? toRecord(key, found) : undefined;
  }

  async write(key: string, value: Uint8Array, options: WriteOptions = {}): Promise<bigint> {
    checkKey("write", key, this.guarantees.maxKeyBytes, this.isClosing);
    const now = this.#clock.now();
    const write = checkWrite(key, value, options, now, this.guarantees.maxValueBytes);
    const fence = fenceOf(options);
    const { metadata, expiresAt } = write;
    const attempt = async (found: Found | undefined): Promise<bigint> => {
      const live = found?.live === true;
      requireFence(key, fence, fence && found?.fences.get(fence.lock));
      requireVersion(key, write.ifVersion, live ? BigInt(found.entry.revision) : 0n, "write");
      const fences = withFence(found, fence);
      const headers = encodeHeaders({ metadata, expiresAt, fences });
      const ifRevision = found?.entry.revision ?? 0;
      const put = { headers, ifRevision };
      const revision = await this.#bucket.put(encodeToken(key), write.value, put);
      this.#expiries.written(
        key,
        expiresAt === undefined ? undefined : { expiresAt, revision, fences },
      );
      return BigInt(revision);
    };
    return this.#change("write", key, attempt);
  }

  async delete(key: string, options: DeleteOptions = {}): Promise<boolean> {
    checkKey("delete", key, this.guarantees.maxKeyBytes, this.isClosing);
    checkDelete(key, options);
    const fence = fenceOf(options);
    const attempt = async (found: Found | undefined): Promise<boolean> => {
      const live = found?.live === true;
      requireFence(key, fence, fence && found?.fences.get(fence.lock));
      requireVersion(key, options.ifVersion, live ? BigInt(found.entry.revision) : 0n, "delete");
      if (found === undefined || (found.entry.deleted && fence === undefined)) return false;
      const { entry } = found;
      await this.#remove(entry.key, entry.revision, withFence(found, fence));
      return live;
    };
    return this.#change("delete", key, attempt);
  }

  list(options?: ListOptions): AsyncIterable<StoreRecord> {
    return this.#readers.list(
      options,
      (listing, signals) => this.#pages(listing, signals),
      (record) => record,
    );
  }

  protected override async end(): Promise<void> {
    this.#readers.end();
    this.#expiries.close();
    await this.#lanes.settled();
  }

  watch(options: StoreWatchOptions = {}): AsyncIterable<StoreEvent> {
    return this.#readers.watch(options, (sink) => {
      const recordOf = (key: string, entry: BucketEntry) => {
        const found = this.#judge(entry);
        return found?.live === true ? toRecord(key, found) : undefined;
      };
      const watch = new RecordWatch(this.#bucket, sink, this.#clock, recordOf);
      return () => watch.close();
    });
  }

  /** Reads and changes a key, and retries while other processes interfere. */
  #change<T>(
    action: "write" | "delete",
    key: string,
    attempt: (found: Found | undefined) => Promise<T>,
  ): Promise<T> {
    return this.#lanes.run(key, async () => {
      const what = `${action} store key ${quoteKey(key)}`;
      for (let tries = 1; ; tries++) {
        try {
          return await attempt(this.#judge(await this.#bucket.get(encodeToken(key))));
        } catch (error) {
          if (!isWrongSequence(error) || tries === maxAttempts) throw natsFailure(error, what);
        }
      }
    });
  }

  async *#pages(
    { prefix, suffix, after, limit, offset }: Listing,
    signals: readonly (AbortSignal | undefined)[],
  ): AsyncGenerator<readonly StoreRecord[], void, undefined> {
    const keys = (await this.#keys(signals))
      .filter((key) => key.startsWith(prefix) && key.endsWith(suffix))
      .filter((key) => after === undefined || compareKeys(key, after) > 0)
      .sort(compareKeys);
    let wanted = limit + offset;
    for (let at = 0, some: string[]; at < keys.length; at += some.length) {
      some = keys.slice(at, at + Math.min(readAhead, wanted));
      const reading = Promise.all(some.map((key) => this.read(key)));
      const records = (await untilAborted(reading, signals)).filter(
        (record) => record !== undefined,
      );
      yield records;
      wanted -= records.length;
    }
  }

  /** All keys that currently have a record, in no particular order. */
  async #keys(signals: readonly (AbortSignal | undefined)[]): Promise<string[]> {
    const { entries } = await snapshotOf(this.#bucket, signals, { headersOnly: true });
    const live = entries.filter((entry) => this.#judge(entry)?.live === true);
    return live.flatMap(({ key }) => decodeToken(key) ?? []);
  }

  /** Decodes an entry, and also removes it if it has expired. */
  #judge(entry: BucketEntry | undefined): Found | undefined {
    if (entry === undefined) return undefined;
    const headers = decodeHeaders(entry.headers);
    const expired = headers.expiresAt !== undefined && headers.expiresAt <= this.#clock.now();
    const found: Found = { ...headers, entry, live: !entry.deleted && !expired };
    if (expired && !entry.deleted && !this.isClosing) {
      // A process that changed it meanwhile has handled it, and a failure leaves it to the next
      // reader.
      this.#remove(entry.key, entry.revision, found.fences).catch(() => {});
    }
    return found;
  }

  async #remove(
    token: string,
    ifRevision: number,
    fences: ReadonlyMap<string, bigint>,
  ): Promise<void> {
    const headers = encodeHeaders({ metadata: {}, expiresAt: undefined, fences });
    await this.#bucket.delete(token, { headers, ifRevision });
  }
}

/** The tokens of a key after a change under a fence. */
function withFence(
  found: Found | undefined,
  fence: Fence | undefined,
): ReadonlyMap<string, bigint> {
  const fences = new Map(found?.fences);
  if (fence !== undefined) fences.set(fence.lock, fence.token);
  return fences;
}

function toRecord(key: string, { entry, metadata, expiresAt }: Found): StoreRecord {
  return {
    key,
    value: new Uint8Array(Buffer.from(entry.value)),
    version: BigInt(entry.revision),
    expiresAt: expiresAt === undefined ? undefined : new Date(expiresAt),
    metadata,
  };
}
