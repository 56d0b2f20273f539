import type { ExpiryClock } from "@micro-es/runtime/driver";
import { DeadlineSweep, monotonicNow } from "@micro-es/runtime/driver";

/** A record with an expiry. */
export interface Expiring {
  readonly expiresAt: number;
  readonly revision: number;
  readonly fences: ReadonlyMap<string, bigint>;
}

/** Maximum number of records tracked; others stay in the bucket until a reader finds them. */
const maxRecords = 100_000;
/** Maximum number of concurrent removals. */
const atOnce = 256;
const retryMs = 1_000;
/** The system's clock may jump forward, and expiry follows it within this time, in milliseconds. */
const longestSweepMs = 30_000;

/** Removes expired records that this process wrote, so that they do not stay unused. */
export class OwnExpiries {
  readonly #clock: ExpiryClock;
  readonly #remove: (key: string, expiring: Expiring) => Promise<void>;
  readonly #connected: () => boolean;
  readonly #records = new Map<string, Expiring>();
  readonly #sweep = new DeadlineSweep(() => this.#expire(), 20);
  #removing = false;
  #closed = false;

  /**
   * @param remove resolves when the record is no longer there, for example because another process
   * changed it.
   */
  constructor(
    clock: ExpiryClock,
    connected: () => boolean,
    remove: (key: string, expiring: Expiring) => Promise<void>,
  ) {
    this.#clock = clock;
    this.#connected = connected;
    this.#remove = remove;
  }

  /** This process wrote a record, with or without an expiry. */
  written(key: string, expiring: Expiring | undefined): void {
    if (expiring === undefined) {
      this.#records.delete(key);
      return;
    }
    if (this.#closed || this.#records.size >= maxRecords) return;
    this.#records.set(key, expiring);
    this.#wake(expiring.expiresAt - this.#clock.now());
  }

  close(): void {
    this.#closed = true;
    this.#sweep.close();
    this.#records.clear();
  }

  #wake(delayMs: number): void {
    this.#sweep.watch(monotonicNow() + Math.min(delayMs, longestSweepMs));
  }

  #expire(): number {
    if (this.#removing) return Number.POSITIVE_INFINITY;
    const now = this.#clock.now();
    const due: [string, Expiring][] = [];
    let next = Number.POSITIVE_INFINITY;
    for (const found of this.#records) {
      const [, { expiresAt }] = found;
      if (expiresAt <= now) due.push(found);
      else next = Math.min(next, expiresAt);
    }
    if (due.length === 0) {
      const delayMs = Math.min(next - now, longestSweepMs);
      return next === Number.POSITIVE_INFINITY ? next : monotonicNow() + delayMs;
    }
    void this.#removeAll(due);
    return Number.POSITIVE_INFINITY;
  }

  /**
   * The next removal starts as soon as one ends; waiting for a whole batch would halve the server's
   * throughput.
   */
  async #removeAll(due: readonly (readonly [string, Expiring])[]): Promise<void> {
    this.#removing = true;
    const rest = due.values();
    const lanes = Array.from({ length: atOnce }, () => this.#removeEach(rest));
    const done = await Promise.all(lanes);
    this.#removing = false;
    if (!this.#closed) this.#wake(done.includes(false) ? retryMs : 0);
  }

  /** Removes records from a shared iterator; false if it cannot, so that the rest has to wait. */
  async #removeEach(due: Iterable<readonly [string, Expiring]>): Promise<boolean> {
    for (const [key, expiring] of due) {
      if (this.#records.get(key) !== expiring) continue;
      if (!this.#connected()) return false;
      try {
        await this.#remove(key, expiring);
      } catch {
        // The store's state reports the problem, and no caller waits for this.
        return false;
      }
      if (this.#records.get(key) === expiring) this.#records.delete(key);
    }
    return true;
  }
}
