import type { Backend } from "../backend.ts";

/** How a lock is taken. */
export interface LockOptions {
  /** The lock is free again this long after its holder died or lost touch, in milliseconds. Default 15,000. */
  readonly ttlMs?: number;
  /** How long to wait while others hold it, in milliseconds; 0 asks once. Default: until the signal fires. */
  readonly waitMs?: number;
  /** Ends the wait. A lock that was granted stays. */
  readonly signal?: AbortSignal;
  /** Who takes it, as {@link LockStatus.holder} tells others. Default: the host's name and the process's id. */
  readonly holder?: string;
  /**
   * `automatic` (default) renews at a third of the ttl while the process runs. With `manual` only
   * {@link Lock.renew} does, so that a holder whose work is stuck loses the lock.
   */
  readonly renewal?: "automatic" | "manual";
}

/**
 * A lock that is held for a time, and no longer than that.
 *
 * Its lease alone promises one holder at a time by the backend's clock. A holder that is paused goes on for a
 * moment after its lease has ended, and finds out late. So that nothing it writes then counts, what is protected
 * has to look at the {@link token}: a store does with the option `fence`.
 */
export interface Lock extends AsyncDisposable {
  readonly id: string;
  /** Larger than the token of every holder of this id before. */
  readonly token: bigint;
  /** Whether the lease surely has not ended; false after {@link unlock}. */
  readonly held: boolean;
  /**
   * Fires when the lease is lost: it could not be renewed in time, somebody else has it, or its `Sync` was closed.
   * It fires before the backend grants the lock to another, unless this process was paused; it does not fire for
   * an unlock.
   */
  readonly signal: AbortSignal;
  /**
   * Extends the lease by its ttl from now.
   * @throws MicroError `aborted` when it is lost; `unavailable` when the backend cannot say, and the lease goes on
   * as it was.
   */
  renew(): Promise<void>;
  /**
   * Gives the lock back. False when the lease was lost before: whoever has the lock now keeps it. Idempotent.
   * When the backend cannot be reached, the lock becomes free by its ttl.
   */
  unlock(): Promise<boolean>;
}

/** How one stands for leader. */
export interface LeadOptions extends Omit<LockOptions, "holder"> {
  /** What others see in {@link LeaderStatus.candidate}, such as a node's id. Default: a new UUID. */
  readonly candidate?: string;
}

/** Being the leader of a group, as long as {@link Lock.signal | the signal} has not fired. */
export interface Leadership extends Omit<Lock, "token" | "unlock"> {
  /** Larger than the epoch of every leader of this id before; a fencing token. */
  readonly epoch: bigint;
  readonly candidate: string;
  /** Lets another candidate lead. False when the leadership was lost before. Idempotent. */
  resign(): Promise<boolean>;
}

/** Who leads. */
export interface LeaderStatus {
  readonly candidate: string;
  readonly epoch: bigint;
}

/** A lock or a leadership that is held. */
export interface LockStatus {
  readonly id: string;
  /** Who has it: of a lock the holder that was named, of a leadership the candidate. */
  readonly holder: string;
  /** Its fencing token; of a leadership the epoch. */
  readonly token: bigint;
  /** When it was taken, by the backend's clock. */
  readonly since: Date;
  /** When it ends unless it is renewed before, by the backend's clock. */
  readonly expiresAt: Date;
}

/** How a listing of locks or leaders is made. */
export interface LockListOptions {
  /** Only ids that begin with it. */
  readonly prefix?: string;
  readonly signal?: AbortSignal;
}

/** What an implementation promises. */
export interface SyncGuarantees {
  /** Among whom there is one holder: this process, this host, or all that share the backend. */
  readonly reach: "process" | "host" | "backend";
  /** `fifo`: a lock goes to who has waited longest. `process`: to who has waited longest in some process. */
  readonly fairness: "fifo" | "process";
  /** What tokens keep growing over. */
  readonly durability: "none" | "process-crash" | "power-loss";
}

/** Default time to live of a lock. */
export const defaultLockTtlMs = 15_000;

/** The shortest time to live of a lock that is taken, in milliseconds. */
export const minLockTtlMs = 50;

/** Locks and leader election among processes. Lock ids and leader ids are apart from each other. */
export interface Sync extends Backend {
  readonly guarantees: SyncGuarantees;
  /**
   * Takes a lock.
   * @throws MicroError `deadline_exceeded` when others held it for all of `waitMs`; `canceled` when the signal fired;
   * `invalid_argument` for an id or a ttl that is not allowed; `unavailable` when the backend cannot be reached.
   */
  lock(id: string, options?: LockOptions): Promise<Lock>;
  /** Resolves when this candidate leads. @throws MicroError as {@link lock} does. */
  lead(id: string, options?: LeadOptions): Promise<Leadership>;
  /** Who leads now; undefined when nobody does. @throws MicroError `unavailable` */
  leader(id: string): Promise<LeaderStatus | undefined>;
  /** The locks that are held now, by anybody, in the order of their ids. @throws MicroError `unavailable` */
  locks(options?: LockListOptions): Promise<readonly LockStatus[]>;
  /** Who leads now, in the order of ids. @throws MicroError `unavailable` */
  leaders(options?: LockListOptions): Promise<readonly LockStatus[]>;
}
