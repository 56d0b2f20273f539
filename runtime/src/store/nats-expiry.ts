import { DeadlineSweep, monotonicNow } from "../deadline.ts";
import type { ExpiryClock } from "./clock.ts";

/** A record that will expire. */
export interface Expiring {
  readonly expiresAt: number;
  readonly revision: number;
  readonly fences: ReadonlyMap<string, bigint>;
}

/** Records that are looked after; others stay in the bucket until somebody comes across them. */
const maxRecords = 100_000;
/** Records that are on their way out at one time. */
const atOnce = 256;
const retryMs = 1_000;
/** The system's clock may jump forward, and expiry follows it within this time. */
const longestSweepMs = 30_000;

/** Removes the records that this process wrote when they have expired, so that they do not stay for nobody. */
export class OwnExpiries {
  readonly #clock: ExpiryClock;
  readonly #remove: (key: string, expiring: Expiring) => Promise<void>;
  readonly #connected: () => boolean;
  readonly #records = new Map<string, Expiring>();
  readonly #sweep = new DeadlineSweep(() => this.#expire(), 20);
  #removing = false;
  #closed = false;

  /** @param remove resolves when the record is not there any more, as it is when somebody else changed it. */
  constructor(
    clock: ExpiryClock,
    connected: () => boolean,
    remove: (key: string, expiring: Expiring) => Promise<void>,
  ) {
    this.#clock = clock;
    this.#connected = connected;
    this.#remove = remove;
  }

  /** This process wrote a record, which expires or not. */
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

  /** The next goes as soon as one is gone; waiting for all that are on their way would halve what a server can do. */
  async #removeAll(due: readonly (readonly [string, Expiring])[]): Promise<void> {
    this.#removing = true;
    const rest = due.values();
    const lanes = Array.from({ length: atOnce }, () => this.#removeEach(rest));
    const done = await Promise.all(lanes);
    this.#removing = false;
    if (!this.#closed) this.#wake(done.includes(false) ? retryMs : 0);
  }

  /** Removes what others leave to it; false when it cannot, so that the rest has to wait. */
  async #removeEach(due: Iterable<readonly [string, Expiring]>): Promise<boolean> {
    for (const [key, expiring] of due) {
      if (this.#records.get(key) !== expiring) continue;
      if (!this.#connected()) return false;
      try {
        await this.#remove(key, expiring);
      } catch {
        // The store's state says what is wrong, and nobody waits for this.
        return false;
      }
      if (this.#records.get(key) === expiring) this.#records.delete(key);
    }
    return true;
  }
}
