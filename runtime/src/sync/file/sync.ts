import { resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type BackendState, BackendStatus, type StateListener } from "../../base/backend-state.ts";
import { asMicroError, MicroError } from "../../base/error.ts";
import { checkOptions, required, text } from "../../base/option-check.ts";
import { bootId, hostNow } from "../host-clock.ts";
import type { LeaseBackend, LeaseClaim, LeaseEntry, LeaseHolder } from "../lease-backend.ts";
import { LeaseSync } from "../lease-sync.ts";
import type { Sync } from "../sync.ts";
import { type FileLease, readBucket, readBuckets, replaceBucket } from "./lease.ts";

/** Where a {@link fileSync} keeps its leases. */
export interface FileSyncOptions {
  /**
   * A directory on a local disk of this host, shared by all processes that should see each other's
   * locks; created if absent.
   */
  readonly path: string;
}

/** The longest wait before checking again whether a lock is free, in milliseconds. */
const longestLookMs = 50;

/**
 * Locks and leaders among the processes of one host, in a directory whose size depends on the held
 * leases, not on how many ids were ever used. The state survives a process. Time comes from a clock
 * that all processes of the host share and that cannot be set. A network file system does not count
 * as a local disk.
 *
 * @throws MicroError `invalid_argument` without a path.
 *
 * @example
 * ```ts
 * import { fileSync } from "@micro-es/runtime";
 *
 * await using sync = fileSync({ path: "/run/lock/reports" });
 * await using lock = await sync.lock("report");
 * ```
 */
export function fileSync(options: FileSyncOptions): Sync {
  checkOptions("fileSync", options, { path: required(text) });
  return new LeaseSync(new FileLeases(resolve(options.path)), {
    reach: "host",
    fairness: "process",
    durability: "power-loss",
  });
}

class FileLeases implements LeaseBackend {
  readonly name = "file";
  readonly #path: string;
  readonly #status = new BackendStatus();

  constructor(path: string) {
    this.#path = path;
  }

  get state(): BackendState {
    return this.#status.state;
  }

  onStateChange(listener: StateListener): () => void {
    return this.#status.onStateChange(listener);
  }

  acquire(claim: LeaseClaim): Promise<bigint | undefined> {
    return this.#change<bigint | undefined>("take", claim.key, true, ({ leases, next }) => {
      const held = find(leases, claim.key);
      // Finds, on the retry, a change of this lease that other processes have built on.
      if (held !== undefined)
        return { result: held.owner === claim.owner ? held.token : undefined };
      return { result: next, leases: [...leases, leaseOf(claim, next, Date.now())] };
    });
  }

  renew(claim: LeaseClaim): Promise<boolean> {
    return this.#change<boolean>("renew", claim.key, false, ({ leases }) => {
      const held = find(leases, claim.key);
      if (held?.owner !== claim.owner) return { result: false };
      const renewed = leaseOf(claim, held.token, held.takenAt);
      return { result: true, leases: [...leases.filter((it) => it !== held), renewed] };
    });
  }

  release(claim: LeaseClaim): Promise<boolean> {
    let tried = false;
    return this.#change<boolean>("release", claim.key, false, ({ leases }) => {
      const held = find(leases, claim.key);
      // Only its owner removes a live lease, so one that disappeared between two attempts was
      // removed by the first.
      if (held?.owner !== claim.owner) return { result: tried };
      tried = true;
      return { result: true, leases: leases.filter((it) => it !== held) };
    });
  }

  holder(key: string): Promise<LeaseHolder | undefined> {
    return this.#try("read", key, () => this.#find(key));
  }

  list(): Promise<readonly LeaseEntry[]> {
    return this.#try("list", "leases", async () => {
      const buckets = await readBuckets(this.#path);
      return buckets.flatMap(({ leases }) =>
        leases.filter(isLive).map((lease) => ({
          ...lease,
          since: lease.takenAt,
          expiresAt: Date.now() + (lease.grantedAt + lease.ttlMs - hostNow()),
        })),
      );
    });
  }

  async untilFree(key: string, signal: AbortSignal): Promise<void> {
    try {
      const held = await this.#find(key);
      const leftMs = held === undefined ? 0 : held.grantedAt + held.ttlMs - hostNow();
      await sleep(Math.min(longestLookMs, Math.max(1, leftMs)), undefined, { signal });
    } catch {
      // The signal fired, or the next attempt to take the lock reports the problem.
    }
  }

  async close(): Promise<void> {}

  async #find(key: string): Promise<FileLease | undefined> {
    return find((await readBucket(this.#path, key)).leases.filter(isLive), key);
  }

  /**
   * Changes a key's bucket as `decide` returns for the bucket's current leases; no change if it
   * returns no leases.
   */
  #change<T>(
    action: string,
    key: string,
    durable: boolean,
    decide: (state: State) => Decision<T>,
  ): Promise<T> {
    return this.#try(action, key, async () => {
      for (;;) {
        const bucket = await readBucket(this.#path, key);
        const next = bucket.sequence + 1n;
        const { result, leases } = decide({ leases: bucket.leases.filter(isLive), next });
        if (leases === undefined) return result;
        // Otherwise another process was faster, with this key or another one in its bucket.
        if (await replaceBucket(this.#path, key, { sequence: next, leases }, durable))
          return result;
      }
    });
  }

  async #try<T>(action: string, key: string, work: () => Promise<T>): Promise<T> {
    try {
      const result = await work();
      this.#status.set("healthy");
      return result;
    } catch (error) {
      const reason = asMicroError(error, "unavailable");
      const failure = new MicroError(
        reason.code,
        `cannot ${action} ${key} in ${this.#path}: ${reason.message}`,
        { cause: error },
      );
      this.#status.set("lost", failure);
      throw failure;
    }
  }
}

/** The state that a change starts from. */
interface State {
  /** Only live leases. */
  readonly leases: readonly FileLease[];
  /** The sequence number of the next state. */
  readonly next: bigint;
}

interface Decision<T> {
  readonly result: T;
  readonly leases?: readonly FileLease[];
}

function leaseOf(claim: LeaseClaim, token: bigint, takenAt: number): FileLease {
  const { key, owner, value, ttlMs } = claim;
  return { key, owner, token, value, ttlMs, takenAt, grantedAt: hostNow(), boot: bootId() };
}

function find(leases: readonly FileLease[], key: string): FileLease | undefined {
  return leases.find((lease) => lease.key === key);
}

function isLive({ boot, grantedAt, ttlMs }: FileLease): boolean {
  if (boot !== bootId()) return false;
  const age = hostNow() - grantedAt;
  return age >= 0 && age < ttlMs;
}
