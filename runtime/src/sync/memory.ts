import { type BackendState, BackendStatus, type StateListener } from "../backend.ts";
import { DeadlineSweep } from "../deadline.ts";
import { LeaseSync } from "./lease-sync.ts";
import type { LeaseClaim, LeaseEntry, LeaseHolder, Leases } from "./leases.ts";
import type { Sync } from "./sync.ts";

interface Entry extends LeaseHolder {
  /** On the monotonic clock, as {@link expiresAt}. */
  readonly since: number;
  readonly expiresAt: number;
}

/** Where the {@link memorySync | memory syncs} of one process meet. */
export class MemorySyncNetwork {
  readonly #entries = new Map<string, Entry>();
  /** Who waits for a key, in the order they came. */
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
    return new Promise((resolve) => {
      const waiting = this.#waiting.get(key) ?? new Set();
      this.#waiting.set(key, waiting);
      const wake = (): void => {
        waiting.delete(wake);
        if (waiting.size === 0 && this.#waiting.get(key) === waiting) this.#waiting.delete(key);
        signal.removeEventListener("abort", wake);
        resolve();
      };
      waiting.add(wake);
      signal.addEventListener("abort", wake, { once: true });
      if (signal.aborted || this.live(key) === undefined) wake();
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
  /** Syncs with the same network see each other's locks. Default: one network for the whole process. */
  readonly network?: MemorySyncNetwork;
}

const processNetwork = new MemorySyncNetwork();

/** Locks and leaders among the parts of this process: for services that live together in one, and for tests. */
export function memorySync(options: MemorySyncOptions = {}): Sync {
  return new LeaseSync(new MemoryLeases(options.network ?? processNetwork), {
    reach: "process",
    fairness: "fifo",
    durability: "none",
  });
}

class MemoryLeases implements Leases {
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
