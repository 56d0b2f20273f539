import type { Backend } from "../backend.ts";

/** Somebody's claim on a key, for a time. */
export interface LeaseClaim {
  readonly key: string;
  /** Unique for each claim: nobody else renews or releases it. */
  readonly owner: string;
  readonly ttlMs: number;
  /** What others may read while the lease is held. */
  readonly value: string;
}

/** Who holds a key. */
export interface LeaseHolder {
  readonly owner: string;
  readonly token: bigint;
  readonly value: string;
}

/** A lease that is held, as others see it. Times are in milliseconds since 1970, by the backend's clock. */
export interface LeaseEntry extends LeaseHolder {
  readonly key: string;
  readonly since: number;
  readonly expiresAt: number;
}

/**
 * What a backend has to be able to do so that locks and elections can be built on it. Each operation is atomic
 * for its key, and fails with `unavailable` when the backend cannot be reached.
 */
export interface Leases extends Omit<Backend, "close" | keyof AsyncDisposable> {
  /** Takes a free key and returns a token larger than all before for that key; undefined when it is held. */
  acquire(claim: LeaseClaim): Promise<bigint | undefined>;
  /** Extends a lease by its ttl; false when it is not the claim's any more. */
  renew(claim: LeaseClaim): Promise<boolean>;
  /** Ends a lease; false when it is not the claim's any more. */
  release(claim: LeaseClaim): Promise<boolean>;
  /** Who holds a key now. */
  holder(key: string): Promise<LeaseHolder | undefined>;
  /** All leases that are held now, in no order. */
  list(signal: AbortSignal | undefined): Promise<readonly LeaseEntry[]>;
  /** Resolves when a key may have become free, or when the signal fires. Never rejects. */
  untilFree(key: string, signal: AbortSignal): Promise<void>;
  close(): Promise<void>;
}
