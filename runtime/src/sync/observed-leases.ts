import { Buffer } from "node:buffer";
import { pauseUntilAborted, untilAborted, waitUntilAborted } from "../base/abort.ts";
import type { BackendState, StateListener } from "../base/backend-state.ts";
import { asMicroError, MicroError } from "../base/error.ts";
import type { LeaseBackend, LeaseClaim, LeaseEntry, LeaseHolder } from "./lease-backend.ts";

/** The record of a lease as stored, or what is left of a deleted one. */
export interface LeaseRecord {
  /** Larger than all previous ones of its key, including those of deleted records. */
  readonly revision: bigint;
  /** Undefined for a deleted record whose revision is still known. */
  readonly value: Uint8Array | undefined;
  /** When it was written, on the backend's clock; undefined if the backend does not report it. */
  readonly writtenAt?: number;
}

/** All records of leases at one time. */
export interface LeaseRecordList {
  readonly records: readonly (LeaseRecord & { readonly key: string })[];
  /** The time of the list on the backend's clock; undefined if the backend does not report it. */
  readonly now?: number;
}

/** Receives what happens to one record. */
export interface LeaseRecordWatcher {
  /** The record now, and after each change; undefined if there is none. */
  changed(record: LeaseRecord | undefined): void;
  /** The record cannot be watched now. */
  failed(): void;
}

/**
 * The operations that {@link ObservedLeases} need of a backend: records by key whose revisions
 * grow, and changes that happen only at a given revision.
 */
export interface LeaseRecords {
  readonly name: string;
  readonly state: BackendState;
  onStateChange(listener: StateListener): () => void;
  /** The current record, which a stale replica must not provide. */
  get(key: string): Promise<LeaseRecord | undefined>;
  /**
   * Writes a record if its key has this revision, 0 for none, and returns the new revision;
   * undefined if another process was faster.
   */
  put(key: string, value: Uint8Array, ifRevision: bigint): Promise<bigint | undefined>;
  /** Deletes a record if its key has this revision; false if another process was faster. */
  delete(key: string, ifRevision: bigint): Promise<boolean>;
  /** Calls the watcher until the returned function is called. */
  watch(key: string, watcher: LeaseRecordWatcher): () => void;
  /**
   * All records, for a caller that does not wait any longer once one of the signals fires.
   * @param closing fires when the records close.
   */
  list(closing: AbortSignal, signal: AbortSignal | undefined): Promise<LeaseRecordList>;
  close(): Promise<void>;
}

/** The contents of a record. */
interface Lease {
  readonly owner: string;
  readonly token: bigint;
  readonly ttlMs: number;
  readonly value: string;
  /** When it was taken, on the backend's clock, or else on its holder's. */
  readonly since: number;
  /** When it was last renewed, on the same clock. */
  readonly renewedAt: number;
}

/** A lease as last seen, and since when it has not changed, on this process's clock. */
interface Seen {
  readonly revision: bigint;
  readonly since: number;
}

/**
 * Maximum number of keys whose leases are remembered; the oldest is forgotten first, which only
 * delays its takeover.
 */
const maxSeen = 10_000;
const longestTimerMs = 2 ** 31 - 1;
/** How long a process waits that cannot watch a record, so that it does not try without a pause. */
const unwatchedMs = 50;

/**
 * Leases on any backend with compare-and-set, whatever its own leases and clocks are like. A lease
 * is a record that its holder rewrites. It ends when the record has not changed for its ttl on the
 * clock of the process that wants it, so no two clocks are compared, and a pause of the backend
 * only delays the end. A token is the revision at which a lease was taken.
 */
export class ObservedLeases implements LeaseBackend {
  readonly #records: LeaseRecords;
  readonly #seen = new Map<string, Seen>();
  readonly #closing = new AbortController();

  constructor(records: LeaseRecords) {
    this.#records = records;
  }

  get name(): string {
    return this.#records.name;
  }

  get state(): BackendState {
    return this.#records.state;
  }

  onStateChange(listener: StateListener): () => void {
    return this.#records.onStateChange(listener);
  }

  async acquire(claim: LeaseClaim): Promise<bigint | undefined> {
    const record = await this.#records.get(claim.key);
    if (record !== undefined && !this.#isFree(claim.key, record)) return undefined;
    try {
      return await this.#put(claim, record?.revision ?? 0n, undefined);
    } catch (error) {
      if (asMicroError(error).outcome !== "unknown") throw error;
      // It may have been taken, in which case only its ttl would end it.
      const held = await this.#held(claim).catch(() => undefined);
      if (held === undefined) throw error;
      return held.lease.token;
    }
  }

  async renew(claim: LeaseClaim): Promise<boolean> {
    // A renewal whose response was lost may still arrive in between, and is ours as well.
    for (;;) {
      const held = await this.#held(claim);
      if (held === undefined) return false;
      if ((await this.#put(claim, held.revision, held.lease)) !== undefined) return true;
    }
  }

  async release(claim: LeaseClaim): Promise<boolean> {
    for (;;) {
      const held = await this.#held(claim);
      if (held === undefined) return false;
      if (await this.#records.delete(claim.key, held.revision)) return true;
    }
  }

  async holder(key: string): Promise<LeaseHolder | undefined> {
    const record = await this.#records.get(key);
    return record === undefined || this.#isFree(key, record) ? undefined : decode(record);
  }

  async list(signal: AbortSignal | undefined): Promise<readonly LeaseEntry[]> {
    const closing = this.#closing.signal;
    const reading = this.#records.list(closing, signal);
    const { records, now = Date.now() } = await untilAborted(reading, [signal, closing]);
    return records.flatMap((record): LeaseEntry[] => {
      const lease = decode(record);
      if (lease === undefined) return [];
      // No process trusts a lease that was not renewed by then.
      const expiresAt = lease.renewedAt + lease.ttlMs;
      return expiresAt <= now ? [] : [{ ...lease, key: record.key, expiresAt }];
    });
  }

  async untilFree(key: string, signal: AbortSignal): Promise<void> {
    let failed = false;
    await waitUntilAborted(signal, (done) => {
      let timer: NodeJS.Timeout | undefined;
      const changed = (record: LeaseRecord | undefined) => {
        clearTimeout(timer);
        if (record === undefined || this.#isFree(key, record)) return done();
        const since = this.#seen.get(key)?.since ?? performance.now();
        const leftMs = since + (decode(record)?.ttlMs ?? 0) - performance.now();
        timer = setTimeout(done, Math.min(Math.max(1, leftMs), longestTimerMs));
      };
      const stop = this.#records.watch(key, {
        changed,
        // The next attempt to take the lock reports the problem.
        failed() {
          failed = true;
          done();
        },
      });
      return () => {
        clearTimeout(timer);
        stop();
      };
    });
    if (failed) await pauseUntilAborted(unwatchedMs, signal);
  }

  close(): Promise<void> {
    this.#closing.abort(
      new MicroError("unavailable", "cannot list leases: the sync is closed", {
        outcome: "not-executed",
      }),
    );
    return this.#records.close();
  }

  async #held(claim: LeaseClaim): Promise<{ lease: Lease; revision: bigint } | undefined> {
    const record = await this.#records.get(claim.key);
    const lease = record === undefined ? undefined : decode(record);
    if (record === undefined || lease?.owner !== claim.owner) return undefined;
    return { lease, revision: record.revision };
  }

  /**
   * Writes the successor of a revision, and returns its own revision; undefined if another process
   * was faster.
   * @param taken the lease to continue; without one it begins.
   */
  #put(
    { key, owner, ttlMs, value }: LeaseClaim,
    ifRevision: bigint,
    taken: Lease | undefined,
  ): Promise<bigint | undefined> {
    const { token = 0n, since } = taken ?? {};
    const record = { owner, token: `${token}`, ttlMs, value, since, renewedAt: Date.now() };
    return this.#records.put(key, Buffer.from(JSON.stringify(record)), ifRevision);
  }

  /**
   * Whether a lease is free: it was released, or has not changed for its ttl while this process
   * watched.
   */
  #isFree(key: string, record: LeaseRecord): boolean {
    const lease = decode(record);
    if (lease === undefined) {
      this.#seen.delete(key);
      return true;
    }
    const now = performance.now();
    const seen = this.#seen.get(key);
    if (seen?.revision === record.revision) return now - seen.since >= lease.ttlMs;
    if (this.#seen.size >= maxSeen) {
      for (const oldest of this.#seen.keys()) {
        this.#seen.delete(oldest);
        break;
      }
    }
    this.#seen.set(key, { revision: record.revision, since: now });
    return false;
  }
}

/** The lease in a record; undefined if it was released, or is not valid. */
function decode({ revision, value: bytes, writtenAt }: LeaseRecord): Lease | undefined {
  if (bytes === undefined) return undefined;
  try {
    const found = JSON.parse(Buffer.from(bytes).toString()) as Record<string, unknown>;
    const { owner, token, ttlMs, value, since, renewedAt } = found;
    if (
      typeof owner === "string" &&
      typeof token === "string" &&
      typeof ttlMs === "number" &&
      typeof value === "string"
    ) {
      const renewed = writtenAt ?? (typeof renewedAt === "number" ? renewedAt : Date.now());
      // The record that takes a lease cannot know its own revision and time, which are its token
      // and start.
      const taken = BigInt(token);
      return {
        owner,
        ttlMs,
        value,
        token: taken === 0n ? revision : taken,
        since: typeof since === "number" ? since : renewed,
        renewedAt: renewed,
      };
    }
  } catch {
    // Another program's record: it holds nothing.
  }
  return undefined;
}
