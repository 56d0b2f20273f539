import { DeadlineSweep, monotonicNow } from "../base/deadline.ts";
import type { ExpiryClock } from "./expiry-clock.ts";
import { compareKeys } from "./key.ts";
import type { StoreRecord } from "./store.ts";
import type { WatchSink } from "./watcher.ts";

/** The system's clock may jump forward, and expiry follows it within this time, in milliseconds. */
const longestSweepMs = 30_000;
const sweepGapMs = 20;

/**
 * Passes the records of a backend on to a watch. Backends do not report expiry, or report it late,
 * so each record is reported as deleted here when it expires.
 */
export class ExpiringRecords {
  readonly #sink: WatchSink;
  readonly #clock: ExpiryClock;
  /** Keys reported as having a record, with its expiry. */
  readonly #reported = new Map<string, number>();
  readonly #sweep: DeadlineSweep = new DeadlineSweep(() => this.#expire(), sweepGapMs);

  constructor(sink: WatchSink, clock: ExpiryClock) {
    this.#sink = sink;
    this.#clock = clock;
  }

  /** @param records all that have not expired, in any order. */
  snapshot(records: readonly StoreRecord[]): void {
    this.#reported.clear();
    for (const record of records) this.#note(record);
    this.#sink.snapshot([...records].sort((a, b) => compareKeys(a.key, b.key)));
  }

  written(record: StoreRecord): void {
    this.#note(record);
    this.#sink.written(record);
  }

  /** Reports a deletion, unless the watch has no record of the key. */
  deleted(key: string): void {
    if (this.#reported.delete(key)) this.#sink.deleted(key);
  }

  close(): void {
    this.#sweep.close();
  }

  #note({ key, expiresAt }: StoreRecord): void {
    const at = expiresAt?.getTime() ?? Number.POSITIVE_INFINITY;
    this.#reported.set(key, at);
    if (expiresAt === undefined) return;
    const delayMs = Math.min(at - this.#clock.now(), longestSweepMs);
    this.#sweep.watch(monotonicNow() + delayMs);
  }

  #expire(): number {
    const now = this.#clock.now();
    let next = Number.POSITIVE_INFINITY;
    for (const [key, expiresAt] of this.#reported) {
      if (expiresAt <= now) this.deleted(key);
      else next = Math.min(next, expiresAt);
    }
    if (next === Number.POSITIVE_INFINITY) return next;
    return monotonicNow() + Math.min(next - now, longestSweepMs);
  }
}
