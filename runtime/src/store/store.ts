import type { Backend } from "../backend.ts";

/** A value with what is known about it. */
export interface StoreRecord {
  readonly key: string;
  readonly value: Uint8Array;
  /** Grows with every write of the key, also over a deletion; compare-and-set names it. */
  readonly version: bigint;
  /** Wall-clock time after which the record cannot be read; undefined when it stays. */
  readonly expiresAt: Date | undefined;
  readonly metadata: Readonly<Record<string, string>>;
}

/** Says which holder of a lock a change comes from, so that a holder that has lost it changes nothing. */
export interface Fence {
  /** Id of the lock, or of the election. */
  readonly lock: string;
  /** The holder's token, or the leader's epoch. */
  readonly token: bigint;
}

/** How a record is written. */
export interface WriteOptions {
  /** The record expires after this time, in milliseconds. Default: never. */
  readonly ttlMs?: number;
  readonly metadata?: Readonly<Record<string, string>>;
  /**
   * Writes only when the key has this version now; `0n` means that it must not exist. Without it the write
   * always happens.
   */
  readonly ifVersion?: bigint;
  /**
   * Writes only when no holder of the lock with a larger token changed this key before, by a deletion either. A
   * store may refuse as soon as it saw a larger token of the lock on any key.
   */
  readonly fence?: Fence;
}

/** How a record is deleted. */
export interface DeleteOptions {
  /** Deletes only when the key has this version now. */
  readonly ifVersion?: bigint;
  /** As {@link WriteOptions.fence}. */
  readonly fence?: Fence;
}

/** Which records are listed. */
export interface ListOptions {
  readonly prefix?: string;
  readonly suffix?: string;
  /** Records at most. Default: all. */
  readonly limit?: number;
  /** Matching records that are passed over first. Default 0. */
  readonly offset?: number;
  /** Only keys after this one, in the order of the listing; a cursor that stays valid while others write. */
  readonly after?: string;
  readonly signal?: AbortSignal;
}

/** Which records are watched. */
export interface StoreWatchOptions {
  readonly prefix?: string;
  /** Ends the watch. */
  readonly signal?: AbortSignal;
}

/** What a watch tells. A record that expires is deleted. */
export type StoreEvent =
  | { readonly type: "snapshot"; readonly records: readonly StoreRecord[] }
  | { readonly type: "written"; readonly record: StoreRecord }
  | { readonly type: "deleted"; readonly key: string };

/** What an implementation promises. */
export interface StoreGuarantees {
  readonly reads: "linearizable" | "read-your-writes" | "eventual";
  /** What an acknowledged write survives. */
  readonly durability: "none" | "process-crash" | "power-loss";
  readonly compareAndSet: boolean;
  /** Whether {@link Fence | fences} are looked at; a store without refuses them with `unimplemented`. */
  readonly fencing: boolean;
  /** Whether {@link Store.watch} follows changes, those of other processes included where the data is shared. */
  readonly watch: boolean;
  /** Whether several processes may have the same data open. */
  readonly sharing: "process" | "host" | "backend";
  /** The longest key, in bytes of UTF-8. */
  readonly maxKeyBytes: number;
  /** The largest value, in bytes. */
  readonly maxValueBytes: number;
}

/**
 * Keeps bytes by key. Keys are any text that is not empty, in the order of their UTF-8 bytes.
 *
 * A write or deletion has happened when its promise resolves. A failed compare-and-set, and a change
 * that a fence holds back, rejects with `aborted` and leaves the record as it was.
 */
export interface Store extends Backend {
  readonly guarantees: StoreGuarantees;
  /** The record of a key; undefined when there is none or it has expired. */
  read(key: string): Promise<StoreRecord | undefined>;
  /**
   * Writes a value and returns its version.
   * @throws MicroError `aborted` when `ifVersion` is not the key's version, or the fence's token is not the largest;
   * `invalid_argument` for a key that is empty or too long, or a ttl that is not positive; `resource_exhausted` for a value that is too large or
   * a store that is full.
   */
  write(key: string, value: Uint8Array, options?: WriteOptions): Promise<bigint>;
  /**
   * Deletes a record and tells whether there was one.
   * @throws MicroError `aborted` when `ifVersion` is not the key's version, or the fence's token is not the largest.
   */
  delete(key: string, options?: DeleteOptions): Promise<boolean>;
  /** The records, by key. A record that is there during the whole iteration comes exactly once. */
  list(options?: ListOptions): AsyncIterable<StoreRecord>;
  /**
   * Follows the records: first a snapshot of all, by key, then each change in the order in which it happened. What may
   * have been missed, because the reader was behind or the backend was away, is made up for by another snapshot. It
   * begins with its first iteration, and ends with the signal and with the store.
   * @throws MicroError `unimplemented` where `guarantees.watch` is false; `unavailable` after {@link close}.
   */
  watch(options?: StoreWatchOptions): AsyncIterable<StoreEvent>;
}
