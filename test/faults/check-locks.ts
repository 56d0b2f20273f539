/** A write accepted by a store, made under a lock. */
export interface LockedWrite {
  /** The store's version after it; versions order the writes. */
  readonly version: number;
  /** The token of the lock under which it was made. */
  readonly token: number;
}

/** A grant of the lock. */
export interface Grant {
  readonly token: number;
}

export interface LockFigures {
  readonly grants: number;
  /** Tokens that were granted twice. */
  readonly repeatedTokens: number;
  /** Writes accepted after one with a larger token: two holders at once, as seen by the store. */
  readonly staleWrites: number;
}

/** Counts violations of a lock with fencing. */
export function checkLocks(grants: readonly Grant[], writes: readonly LockedWrite[]): LockFigures {
  const tokens = grants.map(({ token }) => token);
  let largest = 0;
  let staleWrites = 0;
  for (const { token } of [...writes].sort((a, b) => a.version - b.version)) {
    if (token < largest) staleWrites++;
    largest = Math.max(largest, token);
  }
  return {
    grants: grants.length,
    repeatedTokens: tokens.length - new Set(tokens).size,
    staleWrites,
  };
}
