import type { Backend } from "../base/backend-state.ts";

/** Options for taking a lock. */
export interface LockOptions {
  /**
   * The time after which the lock is free again when its holder died or lost its connection, in
   * milliseconds. Default 15,000.
   */
  readonly ttlMs?: number;
  /**
   * How long to wait while others hold it, in milliseconds; 0 tries once. Default: until the signal
   * fires.
   */
  readonly waitMs?: number;
  /** Cancels the wait. A granted lock is kept. */
  readonly signal?: AbortSignal;
  /**
   * The name that others see in {@link LockStatus.holder}. Default: the host's name and the
   * process's id.
   */
  readonly holder?: string;
  /**
   * `automatic` (default) renews at a third of the ttl while the process runs. With `manual` only
   * {@link Lock.renew} does, so that a holder whose work is stuck loses the lock.
   */
  readonly renewal?: "automatic" | "manual";
}

/**
 * A lock that is held for a limited time.
 *
 * Its lease alone guarantees one holder at a time by the backend's clock. A paused holder continues
 * for a moment after its lease has ended, and notices late. To prevent its late writes, the
 * protected resource must check the {@link token}: a store does so with the option `fence`.
 */
export interface Lock extends AsyncDisposable {
  readonly id: string;
  /** Larger than the token of every previous holder of this id. */
  readonly token: bigint;
  /** Whether the lease has certainly not ended; false after {@link unlock}. */
  readonly held: boolean;
  /**
   * Fires when the lease is lost: it could not be renewed in time, another holder has it, or its
   * `Sync` was closed. It fires before the backend grants the lock to another holder, unless this
   * process was paused; it does not fire for an unlock.
   */
  readonly signal: AbortSignal;
  /**
   * Extends the lease by its ttl from now.
   * @throws MicroError `aborted` when it is lost; `unavailable` when the backend cannot be reached,
   * and the lease continues as it was.
   */
  renew(): Promise<void>;
  /**
   * Releases the lock. False if the lease was lost before: the present holder keeps the lock.
   * Idempotent. If the backend cannot be reached, the lock becomes free when its ttl ends.
   */
  unlock(): Promise<boolean>;
}

/** Options for leader election. */
export interface LeadOptions extends Omit<LockOptions, "holder"> {
  /**
   * The name that others see in {@link LeaderStatus.candidate}, such as a node's id. Default: a new
   * UUID.
   */
  readonly candidate?: string;
}

/** The leadership of a group, valid as long as {@link Lock.signal | the signal} has not fired. */
export interface Leadership extends Omit<Lock, "token" | "unlock"> {
  /** Larger than the epoch of every previous leader of this id; a fencing token. */
  readonly epoch: bigint;
  readonly candidate: string;
  /**
   * Gives up the leadership so that another candidate can lead. False if it was lost before.
   * Idempotent.
   */
  resign(): Promise<boolean>;
}

/** The current leader. */
export interface LeaderStatus {
  readonly candidate: string;
  readonly epoch: bigint;
}

/** A held lock or leadership. */
export interface LockStatus {
  readonly id: string;
  /** The holder's name; for a leadership, the candidate's. */
  readonly holder: string;
  /** Its fencing token; for a leadership, the epoch. */
  readonly token: bigint;
  /** When it was taken, by the backend's clock. */
  readonly since: Date;
  /** When it ends unless renewed before, by the backend's clock. */
  readonly expiresAt: Date;
}

/** Options for listing locks or leaders. */
export interface LockListOptions {
  /** Only ids with this prefix. */
  readonly prefix?: string;
  readonly signal?: AbortSignal;
}

/** What an implementation guarantees. */
export interface SyncGuarantees {
  /**
   * The scope with a single holder: this process, this host, or everything that shares the backend.
   */
  readonly reach: "process" | "host" | "backend";
  /**
   * `fifo`: a lock goes to the caller that has waited longest. `process`: to the caller that has
   * waited longest in one of the processes.
   */
  readonly fairness: "fifo" | "process";
  /** The failures across which tokens keep increasing. */
  readonly durability: "none" | "process-crash" | "power-loss";
}

/** Default time to live of a lock. */
export const defaultLockTtlMs = 15_000;

/** The shortest time to live of a lock, in milliseconds. */
export const minLockTtlMs = 50;

/** Locks and leader election among processes. Lock ids and leader ids are separate. */
export interface Sync extends Backend {
  readonly guarantees: SyncGuarantees;
  /**
   * Takes a lock.
   * @throws MicroError `deadline_exceeded` when others held it for all of `waitMs`; `canceled` when
   * the signal fired; `invalid_argument` for an id or a ttl that is not allowed; `unavailable` when
   * the backend cannot be reached.
   */
  lock(id: string, options?: LockOptions): Promise<Lock>;
  /** Resolves when this candidate leads. @throws MicroError as {@link lock} does. */
  lead(id: string, options?: LeadOptions): Promise<Leadership>;
  /** The current leader; undefined if there is none. @throws MicroError `unavailable` */
  leader(id: string): Promise<LeaderStatus | undefined>;
  /** All held locks, ordered by id. @throws MicroError `unavailable` */
  locks(options?: LockListOptions): Promise<readonly LockStatus[]>;
  /** The current leaders, ordered by id. @throws MicroError `unavailable` */
  leaders(options?: LockListOptions): Promise<readonly LockStatus[]>;
}
