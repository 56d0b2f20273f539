import type { Backend } from "../base/backend-state.ts";

/** A caller's claim on a key, for a limited time. */
export interface LeaseClaim {
  readonly key: string;
  /** Unique for each claim: no other claim can renew or release it. */
  readonly owner: string;
  readonly ttlMs: number;
  /** Readable by others while the lease is held. */
  readonly value: string;
}

/** The holder of a key. */
export interface LeaseHolder {
  readonly owner: string;
  readonly token: bigint;
  readonly value: string;
}

/** A held lease, as others see it. Times are in milliseconds since 1970, by the backend's clock. */
export interface LeaseEntry extends LeaseHolder {
  readonly key: string;
  readonly since: number;
  readonly expiresAt: number;
}

/**
 * The operations that a backend must provide for locks and elections. Each operation is atomic for
 * its key, and fails with `unavailable` when the backend cannot be reached.
 */
export interface LeaseBackend extends Omit<Backend, "close" | keyof AsyncDisposable> {
  /**
   * Takes a free key and returns a token larger than all previous ones for that key; undefined if
   * the key is held.
   */
  acquire(claim: LeaseClaim): Promise<bigint | undefined>;
  /** Extends a lease by its ttl; false if it no longer belongs to the claim. */
  renew(claim: LeaseClaim): Promise<boolean>;
  /** Ends a lease; false if it no longer belongs to the claim. */
  release(claim: LeaseClaim): Promise<boolean>;
  /** The current holder of a key. */
  holder(key: string): Promise<LeaseHolder | undefined>;
  /** All held leases, in no particular order. */
  list(signal: AbortSignal | undefined): Promise<readonly LeaseEntry[]>;
  /** Resolves when a key may have become free, or when the signal fires. Never rejects. */
  untilFree(key: string, signal: AbortSignal): Promise<void>;
  close(): Promise<void>;
}
