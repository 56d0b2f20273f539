import type { Backend } from "../base/backend-state.ts";

/** A value with its version, expiry and metadata. */
export interface StoreRecord {
  readonly key: string;
  readonly value: Uint8Array;
  /** Increases with every write of the key, also across a deletion; used for compare-and-set. */
  readonly version: bigint;
  /** Wall-clock time after which the record cannot be read; undefined if it does not expire. */
  readonly expiresAt: Date | undefined;
  readonly metadata: Readonly<Record<string, string>>;
}

/**
 * Identifies the lock holder that makes a change, so that a holder that has lost the lock changes
 * nothing.
 */
export interface Fence {
  /** Id of the lock or the election. */
  readonly lock: string;
  /** The holder's token, or the leader's epoch. */
  readonly token: bigint;
}

/** Options of a write. */
export interface WriteOptions {
  /** The record expires after this time, in milliseconds. Default: never. */
  readonly ttlMs?: number;
  readonly metadata?: Readonly<Record<string, string>>;
  /**
   * Writes only if the key currently has this version; `0n` means that it must not exist. By
   * default the write is unconditional.
   */
  readonly ifVersion?: bigint;
  /**
   * Writes only if no holder of the lock with a larger token has changed this key before, including
   * by a deletion. A store may reject as soon as it has seen a larger token of the lock on any key.
   */
  readonly fence?: Fence;
}

/** Options of a deletion. */
export interface DeleteOptions {
  /** Deletes only if the key currently has this version. */
  readonly ifVersion?: bigint;
  /** As {@link WriteOptions.fence}. */
  readonly fence?: Fence;
}

/** Selects the records to list. */
export interface ListOptions {
  readonly prefix?: string;
  readonly suffix?: string;
  /** Maximum number of records. Default: all. */
  readonly limit?: number;
  /** Number of matching records to skip. Default 0. */
  readonly offset?: number;
  /**
   * Only keys after this one, in the order of the listing; a cursor that stays valid across other
   * writes.
   */
  readonly after?: string;
  readonly signal?: AbortSignal;
}

/** Selects the records to watch. */
export interface StoreWatchOptions {
  readonly prefix?: string;
  /** Ends the watch. */
  readonly signal?: AbortSignal;
}

/** An event of a watch. A record that expires is reported as deleted. */
export type StoreEvent =
  | { readonly type: "snapshot"; readonly records: readonly StoreRecord[] }
  | { readonly type: "written"; readonly record: StoreRecord }
  | { readonly type: "deleted"; readonly key: string };

/** What an implementation guarantees. */
export interface StoreGuarantees {
  readonly reads: "linearizable" | "read-your-writes" | "eventual";
  /** The failures that an acknowledged write survives. */
  readonly durability: "none" | "process-crash" | "power-loss";
  readonly compareAndSet: boolean;
  /**
   * Whether the store checks {@link Fence | fences}; a store that does not rejects them with
   * `unimplemented`.
   */
  readonly fencing: boolean;
  /**
   * Whether {@link Store.watch} follows changes, including those of other processes if the data is
   * shared.
   */
  readonly watch: boolean;
  /** Whether several processes may have the same data open. */
  readonly sharing: "process" | "host" | "backend";
  /** The longest key, in bytes of UTF-8. */
  readonly maxKeyBytes: number;
  /** The largest value, in bytes. */
  readonly maxValueBytes: number;
}

/**
 * Stores bytes by key. Keys are any non-empty text, ordered by their UTF-8 bytes.
 *
 * A write or deletion has taken effect when its promise resolves. A failed compare-and-set, and a
 * change that a fence prevents, rejects with `aborted` and leaves the record unchanged.
 */
export interface Store extends Backend {
  readonly guarantees: StoreGuarantees;
  /** The record of a key; undefined if there is none or it has expired. */
  read(key: string): Promise<StoreRecord | undefined>;
  /**
   * Writes a value and returns its version.
   * @throws MicroError `aborted` when `ifVersion` is not the key's version, or the fence's token is
   * not the largest; `invalid_argument` for a key that is empty or too long, or a ttl that is not
   * positive; `resource_exhausted` for a value that is too large or a store that is full.
   */
  write(key: string, value: Uint8Array, options?: WriteOptions): Promise<bigint>;
  /**
   * Deletes a record and returns whether there was one.
   * @throws MicroError `aborted` when `ifVersion` is not the key's version, or the fence's token is
   * not the largest.
   */
  delete(key: string, options?: DeleteOptions): Promise<boolean>;
  /**
   * Opens ahead of time what the store otherwise opens on first use: `createService` calls it, so
   * that a service whose store cannot be opened does not start. Absent if there is nothing to open.
   * @throws MicroError that says what cannot be opened; the next use tries again.
   */
  open?(): Promise<void>;
  /**
   * Iterates over the records, by key. A record that exists during the whole iteration is returned
   * exactly once.
   */
  list(options?: ListOptions): AsyncIterable<StoreRecord>;
  /**
   * Follows the records: first a snapshot of all, by key, then each change in the order in which it
   * happened. If changes may have been missed, because the reader was behind or the backend
   * unreachable, another snapshot follows. The watch begins with its first iteration, and ends with
   * the signal or the store.
   * @throws MicroError `unimplemented` if `guarantees.watch` is false; `unavailable` after
   * {@link close}.
   */
  watch(options?: StoreWatchOptions): AsyncIterable<StoreEvent>;
}
