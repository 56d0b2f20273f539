import type { StoreRecord } from "@micro-es/runtime";
import { ExpiringRecords, type ExpiryClock, type WatchSink } from "@micro-es/runtime/driver";
import type { BucketEntry, NatsBucket } from "../link/bucket.ts";
import { type BucketFollower, BucketWatch } from "../link/bucket-watch.ts";
import { decodeToken } from "../link/token.ts";

/** Reports the changes of a bucket's records to a watch. */
export class RecordWatch implements BucketFollower {
  readonly #prefix: string;
  readonly #records: ExpiringRecords;
  readonly #recordOf: (key: string, entry: BucketEntry) => StoreRecord | undefined;
  readonly #watch: BucketWatch;

  /** @param recordOf the record in an entry, unless it was deleted or has expired. */
  constructor(
    bucket: NatsBucket,
    sink: WatchSink,
    clock: ExpiryClock,
    recordOf: (key: string, entry: BucketEntry) => StoreRecord | undefined,
  ) {
    this.#prefix = sink.prefix;
    this.#records = new ExpiringRecords(sink, clock);
    this.#recordOf = recordOf;
    this.#watch = new BucketWatch(bucket, ">", this);
  }

  snapshot(entries: readonly BucketEntry[]): void {
    this.#records.snapshot(entries.flatMap((entry) => this.#read(entry)?.record ?? []));
  }

  change(entry: BucketEntry): void {
    const found = this.#read(entry);
    if (found === undefined) return;
    if (found.record === undefined) this.#records.deleted(found.key);
    else this.#records.written(found.record);
  }

  /** It is retried, and the store's state reports the problem. */
  failed(): void {}

  close(): void {
    this.#watch.close();
    this.#records.close();
  }

  #read(entry: BucketEntry): { key: string; record: StoreRecord | undefined } | undefined {
    const key = decodeToken(entry.key);
    if (key?.startsWith(this.#prefix) !== true) return undefined;
    return { key, record: this.#recordOf(key, entry) };
  }
}
