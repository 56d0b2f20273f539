import type { Sync } from "@micro-es/runtime";
import {
  checkOptions,
  type LeaseRecord,
  type LeaseRecordList,
  type LeaseRecords,
  type LeaseRecordWatcher,
  LeaseSync,
  ObservedLeases,
  text,
} from "@micro-es/runtime/driver";
import { type BucketEntry, NatsBucket } from "../link/bucket.ts";
import { snapshotOf } from "../link/bucket-snapshot.ts";
import { BucketWatch } from "../link/bucket-watch.ts";
import { NatsDriver, type NatsDriverOptions } from "../link/driver.ts";
import { isWrongSequence, natsFailure } from "../link/failure.ts";
import { natsDriverKinds, replicas } from "../link/option-kinds.ts";
import { decodeToken, encodeToken } from "../link/token.ts";

/** Where a {@link natsSync} keeps its leases. */
export type NatsSyncOptions = NatsDriverOptions & {
  /** The key-value bucket; created if it does not exist. Default `micro-sync`. */
  readonly bucket?: string;
  /** Replicas of the bucket in a cluster. Default 1. */
  readonly replicas?: number;
};

/**
 * Locks and leaders in a NATS key-value bucket. Every change is a compare-and-set of the entry's
 * revision, and a token is the revision at which a lease was taken.
 *
 * A lease ends when its entry has not changed for its ttl on the clock of the process that wants
 * it, so no two clocks are compared. A server that loses its data also loses all leases; on a
 * cluster the bucket should have three replicas.
 *
 * @example
 * ```ts
 * import { natsSync } from "@micro-es/nats";
 *
 * await using sync = natsSync({ servers: "nats://127.0.0.1:4222" });
 * await using lock = await sync.lock("report");
 * ```
 */
export function natsSync(options: NatsSyncOptions = {}): Sync {
  checkOptions("natsSync", options, { ...natsDriverKinds, bucket: text, replicas });
  return new LeaseSync(new ObservedLeases(new BucketRecords(options)), {
    reach: "backend",
    fairness: "process",
    durability: "process-crash",
  });
}

/** The records of leases in a bucket. */
class BucketRecords extends NatsDriver implements LeaseRecords {
  readonly name = "nats";
  readonly #bucket: NatsBucket;

  constructor(options: NatsSyncOptions) {
    super(options, "sync");
    this.#bucket = new NatsBucket(this.link, options.bucket ?? "micro-sync", {
      replicas: options.replicas ?? 1,
    });
  }

  async get(key: string): Promise<LeaseRecord | undefined> {
    const entry = await this.#bucket.get(encodeToken(key));
    return entry === undefined ? undefined : recordOf(entry);
  }

  put(key: string, value: Uint8Array, ifRevision: bigint): Promise<bigint | undefined> {
    return this.#change(`write the lease ${key}`, () =>
      this.#bucket.put(encodeToken(key), value, { ifRevision: Number(ifRevision) }),
    );
  }

  async delete(key: string, ifRevision: bigint): Promise<boolean> {
    const deleted = await this.#change(`release ${key}`, () =>
      this.#bucket.delete(encodeToken(key), { ifRevision: Number(ifRevision) }),
    );
    return deleted !== undefined;
  }

  watch(key: string, watcher: LeaseRecordWatcher): () => void {
    const watch = new BucketWatch(this.#bucket, encodeToken(key), {
      snapshot: ([entry]) => watcher.changed(entry === undefined ? undefined : recordOf(entry)),
      change: (entry) => watcher.changed(recordOf(entry)),
      failed: () => watcher.failed(),
    });
    return () => watch.close();
  }

  async list(closing: AbortSignal, signal?: AbortSignal): Promise<LeaseRecordList> {
    const { entries, serverTime } = await snapshotOf(this.#bucket, [signal, closing]);
    const records = entries.flatMap((entry) => {
      const key = decodeToken(entry.key);
      return key === undefined ? [] : [{ ...recordOf(entry), key }];
    });
    return { records, now: serverTime };
  }

  /** The revision of a change; undefined if another process was faster. */
  async #change(what: string, change: () => Promise<number>): Promise<bigint | undefined> {
    try {
      return BigInt(await change());
    } catch (error) {
      if (isWrongSequence(error)) return undefined;
      throw natsFailure(error, what);
    }
  }
}

function recordOf({ revision, value, deleted, writtenAt }: BucketEntry): LeaseRecord {
  return { revision: BigInt(revision), value: deleted ? undefined : value, writtenAt };
}
