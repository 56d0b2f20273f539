import { resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type BackendState, BackendStatus, type StateListener } from "../backend.ts";
import { asMicroError, MicroError } from "../error.ts";
import { type LeaseState, readLease, readLeases, replaceLease } from "./file-lease.ts";
import { bootId, hostNow } from "./host-clock.ts";
import { LeaseSync } from "./lease-sync.ts";
import type { LeaseClaim, LeaseEntry, LeaseHolder, Leases } from "./leases.ts";
import type { Sync } from "./sync.ts";

/** Where a {@link fileSync} keeps its leases. */
export interface FileSyncOptions {
  /** A directory on a disk of this host, shared by all processes that are to see each other's locks; made if absent. */
  readonly path: string;
}

/** How long one waits at most before looking again whether a lock is free, in milliseconds. */
const longestLookMs = 50;

/**
 * Locks and leaders among the processes of one host, in a directory. Who holds what survives a process; time is
 * taken from a clock that all processes of the host share and nobody can set. A network file system is not a disk of
 * this host.
 *
 * @throws MicroError `invalid_argument` without a path.
 */
export function fileSync(options: FileSyncOptions): Sync {
  if (typeof options.path !== "string" || options.path === "") {
    throw new MicroError("invalid_argument", "a file sync needs the path of a directory");
  }
  return new LeaseSync(new FileLeases(resolve(options.path)), {
    reach: "host",
    fairness: "process",
    durability: "power-loss",
  });
}

class FileLeases implements Leases {
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
    return this.#try("take", claim.key, async () => {
      const current = await readLease(this.#path, claim.key);
      if (live(current) !== undefined) return undefined;
      const token = (current?.sequence ?? 0n) + 1n;
      const taken = await this.#write(claim, token, current, true);
      return taken ? token : undefined;
    });
  }

  renew(claim: LeaseClaim): Promise<boolean> {
    return this.#try("renew", claim.key, async () => {
      const current = live(await readLease(this.#path, claim.key));
      if (current?.owner !== claim.owner) return false;
      return this.#write(claim, current.token, current, false);
    });
  }

  release(claim: LeaseClaim): Promise<boolean> {
    return this.#try("release", claim.key, async () => {
      const current = live(await readLease(this.#path, claim.key));
      if (current?.owner !== claim.owner) return false;
      return this.#write({ ...claim, ttlMs: 0 }, current.token, current, false);
    });
  }

  holder(key: string): Promise<LeaseHolder | undefined> {
    return this.#try("read", key, async () => live(await readLease(this.#path, key)));
  }

  list(): Promise<readonly LeaseEntry[]> {
    return this.#try("list", "leases", async () => {
      const states = await readLeases(this.#path);
      return states
        .filter((state) => live(state) !== undefined)
        .map((state) => ({
          ...state,
          since: state.takenAt,
          expiresAt: Date.now() + (state.grantedAt + state.ttlMs - hostNow()),
        }));
    });
  }

  async untilFree(key: string, signal: AbortSignal): Promise<void> {
    try {
      const current = live(await readLease(this.#path, key));
      const leftMs = current === undefined ? 0 : current.grantedAt + current.ttlMs - hostNow();
      await sleep(Math.min(longestLookMs, Math.max(1, leftMs)), undefined, { signal });
    } catch {
      // The signal fired, or the next attempt to take the lock tells what is wrong.
    }
  }

  async close(): Promise<void> {}

  /** Writes what comes after a state; false when somebody else was faster. */
  #write(
    { key, owner, value, ttlMs }: LeaseClaim,
    token: bigint,
    after: LeaseState | undefined,
    durable: boolean,
  ): Promise<boolean> {
    const sequence = (after?.sequence ?? 0n) + 1n;
    const state = {
      key,
      owner,
      value,
      ttlMs,
      token,
      sequence,
      grantedAt: hostNow(),
      takenAt: after?.token === token ? after.takenAt : Date.now(),
      boot: bootId(),
    };
    return replaceLease(this.#path, state, durable);
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

/** The state if its lease has not ended. */
function live(state: LeaseState | undefined): LeaseState | undefined {
  if (state === undefined || state.boot !== bootId()) return undefined;
  const age = hostNow() - state.grantedAt;
  return age >= 0 && age < state.ttlMs ? state : undefined;
}
