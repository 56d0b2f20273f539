import type { StoreRecord } from "@micro-es/runtime";
import {
  compareKeys,
  DeadlineSweep,
  type ExpiryClock,
  monotonicNow,
  type WatchSink,
} from "@micro-es/runtime/driver";
import type { BucketEntry, NatsBucket } from "../link/bucket.ts";
import { type BucketFollower, BucketWatch } from "../link/bucket-watch.ts";
import { decodeToken } from "../link/token.ts";

/** The system's clock may jump forward, and expiry follows it within this time, in milliseconds. */
const longestSweepMs = 30_000;

/**
 * Reports the changes of a bucket's records to a watch. The bucket does not report expiry, so that
 * is tracked here.
 */
export class RecordWatch implements BucketFollower {
  readonly #sink: WatchSink;
  readonly #clock: ExpiryClock;
  readonly #recordOf: (key: string, entry: BucketEntry) => StoreRecord | undefined;
  /** Keys reported as having a record, with its expiry. */
  readonly #told = new Map<string, number>();
  readonly #sweep = new DeadlineSweep(() => this.#expire(), 20);
  readonly #watch: BucketWatch;

  /** @param recordOf the record in an entry, unless it was deleted or has expired. */
  constructor(
    bucket: NatsBucket,
    sink: WatchSink,
    clock: ExpiryClock,
    recordOf: (key: string, entry: BucketEntry) => StoreRecord | undefined,
  ) {
    this.#sink = sink;
    this.#clock = clock;
    this.#recordOf = recordOf;
    this.#watch = new BucketWatch(bucket, ">", this);
  }

  snapshot(entries: readonly BucketEntry[]): void {
    this.#told.clear();
    const records = entries.flatMap((entry) => this.#read(entry)?.record ?? []);
    for (const record of records) this.#note(record);
    this.#sink.snapshot(records.sort((a, b) => compareKeys(a.key, b.key)));
  }

  change(entry: BucketEntry): void {
    const found = this.#read(entry);
    if (found === undefined) return;
    if (found.record !== undefined) {
      this.#note(found.record);
      this.#sink.written(found.record);
    } else if (this.#told.delete(found.key)) {
      this.#sink.deleted(found.key);
    }
  }

  /** It is retried, and the store's state reports the problem. */
  failed(): void {}

  close(): void {
    this.#watch.close();
    this.#sweep.close();
  }

  #read(entry: BucketEntry): { key: string; record: StoreRecord | undefined } | undefined {
    const key = decodeToken(entry.key);
    if (key?.startsWith(this.#sink.prefix) !== true) return undefined;
    return { key, record: this.#recordOf(key, entry) };
  }

  #note({ key, expiresAt }: StoreRecord): void {
    const at = expiresAt?.getTime() ?? Number.POSITIVE_INFINITY;
    this.#told.set(key, at);
    if (expiresAt !== undefined) this.#wake(at);
  }

  #wake(expiresAt: number): void {
    const delayMs = Math.min(expiresAt - this.#clock.now(), longestSweepMs);
    this.#sweep.watch(monotonicNow() + delayMs);
  }

  #expire(): number {
    const now = this.#clock.now();
    let next = Number.POSITIVE_INFINITY;
    for (const [key, expiresAt] of this.#told) {
      if (expiresAt > now) {
        next = Math.min(next, expiresAt);
        continue;
      }
      this.#told.delete(key);
      this.#sink.deleted(key);
    }
    if (next === Number.POSITIVE_INFINITY) return next;
    return monotonicNow() + Math.min(next - now, longestSweepMs);
  }
}
