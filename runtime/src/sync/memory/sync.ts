import { waitUntilAborted } from "../../base/abort.ts";
import { type BackendState, BackendStatus, type StateListener } from "../../base/backend-state.ts";
import { DeadlineSweep } from "../../base/deadline.ts";
import { checkOptions, instanceOf } from "../../base/option-check.ts";
import type { LeaseBackend, LeaseClaim, LeaseEntry, LeaseHolder } from "../lease-backend.ts";
import { LeaseSync } from "../lease-sync.ts";
import type { Sync } from "../sync.ts";

interface Entry extends LeaseHolder {
  /** On the monotonic clock, as {@link expiresAt}. */
  readonly since: number;
  readonly expiresAt: number;
}

/** Connects the {@link memorySync | memory syncs} of one process. */
export class MemorySyncNetwork {
  readonly #entries = new Map<string, Entry>();
  /** Callers waiting for a key, in order of arrival. */
  readonly #waiting = new Map<string, Set<() => void>>();
  readonly #sweep = new DeadlineSweep((now) => this.#expire(now));
  #token = 0n;

  live(key: string): Entry | undefined {
    const entry = this.#entries.get(key);
    return entry === undefined || entry.expiresAt > performance.now() ? entry : undefined;
  }

  put(claim: LeaseClaim, token: bigint = ++this.#token): bigint {
    const { key, owner, value, ttlMs } = claim;
    const now = performance.now();
    const expiresAt = now + ttlMs;
    const before = this.#entries.get(key);
    const since = before?.token === token ? before.since : now;
    this.#entries.set(key, { owner, value, token, since, expiresAt });
    this.#sweep.watch(expiresAt);
    return token;
  }

  all(): LeaseEntry[] {
    const now = performance.now();
    const live = [...this.#entries].filter(([, { expiresAt }]) => expiresAt > now);
    return live.map(([key, entry]) => ({
      ...entry,
      key,
      since: performance.timeOrigin + entry.since,
      expiresAt: performance.timeOrigin + entry.expiresAt,
    }));
  }

  free(key: string): void {
    this.#entries.delete(key);
    // Only the first: the others would find the key taken.
    const waiting = this.#waiting.get(key);
    for (const wake of waiting ?? []) {
      wake();
      break;
    }
  }

  untilFree(key: string, signal: AbortSignal): Promise<void> {
    return waitUntilAborted(signal, (wake) => {
      const waiting = this.#waiting.get(key) ?? new Set();
      this.#waiting.set(key, waiting);
      waiting.add(wake);
      if (this.live(key) === undefined) wake();
      return () => {
        waiting.delete(wake);
        if (waiting.size === 0 && this.#waiting.get(key) === waiting) this.#waiting.delete(key);
      };
    });
  }

  #expire(now: number): number {
    let next = Number.POSITIVE_INFINITY;
    for (const [key, { expiresAt }] of this.#entries) {
      if (expiresAt <= now) this.free(key);
      else next = Math.min(next, expiresAt);
    }
    return next;
  }
}

/** Options of {@link memorySync}. */
export interface MemorySyncOptions {
  /**
   * Syncs with the same network see each other's locks. Default: one network for the whole process.
   */
  readonly network?: MemorySyncNetwork;
}

const processNetwork = new MemorySyncNetwork();

/**
 * Locks and leaders among the parts of this process: for services that share one process, and for
 * tests.
 *
 * @example
 * ```ts
 * import { memorySync } from "@micro-es/runtime";
 *
 * await using sync = memorySync();
 * await using lock = await sync.lock("report");
 * ```
 */
export function memorySync(options: MemorySyncOptions = {}): Sync {
  checkOptions("memorySync", options, {
    network: instanceOf("a MemorySyncNetwork", MemorySyncNetwork),
  });
  return new LeaseSync(new MemoryLeases(options.network ?? processNetwork), {
    reach: "process",
    fairness: "fifo",
    durability: "none",
  });
}

class MemoryLeases implements LeaseBackend {
  readonly name = "memory";
  readonly #network: MemorySyncNetwork;
  readonly #status = new BackendStatus();

  constructor(network: MemorySyncNetwork) {
    this.#network = network;
  }

  get state(): BackendState {
    return this.#status.state;
  }

  onStateChange(listener: StateListener): () => void {
    return this.#status.onStateChange(listener);
  }

  async acquire(claim: LeaseClaim): Promise<bigint | undefined> {
    return this.#network.live(claim.key) === undefined ? this.#network.put(claim) : undefined;
  }

  async renew(claim: LeaseClaim): Promise<boolean> {
    const entry = this.#network.live(claim.key);
    if (entry?.owner !== claim.owner) return false;
    this.#network.put(claim, entry.token);
    return true;
  }

  async release(claim: LeaseClaim): Promise<boolean> {
    if (this.#network.live(claim.key)?.owner !== claim.owner) return false;
    this.#network.free(claim.key);
    return true;
  }

  async holder(key: string): Promise<LeaseHolder | undefined> {
    return this.#network.live(key);
  }

  async list(): Promise<readonly LeaseEntry[]> {
    return this.#network.all();
  }

  untilFree(key: string, signal: AbortSignal): Promise<void> {
    return this.#network.untilFree(key, signal);
  }

  async close(): Promise<void> {}
}
