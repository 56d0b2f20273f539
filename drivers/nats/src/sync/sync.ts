import { Buffer } from "node:buffer";
import { MicroError, type Sync } from "@micro-es/runtime";
import {
  checkOptions,
  type LeaseBackend,
  type LeaseClaim,
  type LeaseEntry,
  type LeaseHolder,
  LeaseSync,
  text,
  waitUntilAborted,
} from "@micro-es/runtime/driver";
import { type BucketEntry, NatsBucket } from "../link/bucket.ts";
import { snapshotOf } from "../link/bucket-snapshot.ts";
import { BucketWatch } from "../link/bucket-watch.ts";
import { NatsDriver, type NatsDriverOptions } from "../link/driver.ts";
import { isWrongSequence, natsFailure } from "../link/failure.ts";
import { natsDriverKinds, replicas } from "../link/option-kinds.ts";
import { decodeToken, encodeToken } from "../link/token.ts";
/** Where a {@link natsSync} keeps its leases. */
export type NatsSyncOptions = NatsDriverOptions & {
  /** The key-value bucket; created if it does not exist. Default `micro-sync`. */
  readonly bucket?: string;
  /** Replicas of the bucket in a cluster. Default 1. */
  readonly replicas?: number;
};

/** The contents of a lease's entry in the bucket. */
interface Lease {
  readonly owner: string;
  readonly token: bigint;
  readonly ttlMs: number;
  readonly value: string;
  /** When it was taken, on the server's clock. */
  readonly since: number;
}

/** A lease as last seen, and since when it has not changed, on this process's clock. */
interface Seen {
  readonly revision: number;
  readonly since: number;
}

/**
 * Maximum number of keys whose leases are remembered; the oldest is forgotten first, which only
 * delays its takeover.
 */
const maxSeen = 10_000;

/**
 * Locks and leaders in a NATS key-value bucket. Every change is a compare-and-set of the entry's
 * revision, and a token is the revision at which a lease was taken.
 *
 * A lease ends when its entry has not changed for its ttl on the clock of the process that wants
 * it, so no two clocks are compared. A server that loses its data also loses all leases; on a
 * cluster the bucket should have three replicas.
 *
 * @example
 * ```ts
 * import { natsSync } from "@micro-es/nats";
 *
 * await using sync = natsSync({ servers: "nats://127.0.0.1:4222" });
 * await using lock = await sync.lock("report");
 * ```
 */
export function natsSync(options: NatsSyncOptions = {}): Sync {
  checkOptions("natsSync", options, { ...natsDriverKinds, bucket: text, replicas });
  return new LeaseSync(new BucketLeases(options), {
    reach: "backend",
    fairness: "process",
    durability: "process-crash",
  });
}

class BucketLeases extends NatsDriver implements LeaseBackend {
  readonly name = "nats";
  readonly #bucket: NatsBucket;
  readonly #seen = new Map<string, Seen>();
  readonly #closing = new AbortController();

  constructor(options: NatsSyncOptions) {
    super(options, "sync");
    this.#bucket = new NatsBucket(this.link, options.bucket ?? "micro-sync", {
      replicas: options.replicas ?? 1,
    });
  }

  async acquire(claim: LeaseClaim): Promise<bigint | undefined> {
    const key = encodeToken(claim.key);
    const entry = await this.#bucket.get(key);
    if (entry !== undefined && !this.#isFree(entry)) return undefined;
    const revision = await this.#replace("take", claim, entry?.revision ?? 0, undefined);
    return revision === undefined ? undefined : BigInt(revision);
  }

  async renew(claim: LeaseClaim): Promise<boolean> {
    // A renewal whose response was lost may still arrive in between, and is ours as well.
    for (;;) {
      const held = await this.#held(claim);
      if (held === undefined) return false;
      const { lease, revision } = held;
      if ((await this.#replace("renew", claim, revision, lease)) !== undefined) return true;
    }
  }

  async release(claim: LeaseClaim): Promise<boolean> {
    for (;;) {
      const held = await this.#held(claim);
      if (held === undefined) return false;
      try {
        await this.#bucket.delete(encodeToken(claim.key), { ifRevision: held.revision });
        return true;
      } catch (error) {
        if (!isWrongSequence(error)) throw natsFailure(error, `release ${claim.key}`);
      }
    }
  }

  async holder(key: string): Promise<LeaseHolder | undefined> {
    const entry = await this.#bucket.get(encodeToken(key));
    if (entry === undefined || this.#isFree(entry)) return undefined;
    return decode(entry);
  }

  async list(signal: AbortSignal | undefined): Promise<readonly LeaseEntry[]> {
    const { entries, serverTime } = await snapshotOf(this.#bucket, [signal, this.#closing.signal]);
    return entries.flatMap((entry): LeaseEntry[] => {
      const key = decodeToken(entry.key);
      const lease = decode(entry);
      if (key === undefined || lease === undefined) return [];
      // Both times are the server's. No process trusts a lease that was not renewed by then.
      const expiresAt = entry.writtenAt + lease.ttlMs;
      return expiresAt <= serverTime ? [] : [{ ...lease, key, expiresAt }];
    });
  }

  async untilFree(key: string, signal: AbortSignal): Promise<void> {
    await waitUntilAborted(signal, (done) => {
      let timer: NodeJS.Timeout | undefined;
      const look = (entry: BucketEntry | undefined) => {
        clearTimeout(timer);
        if (entry === undefined || this.#isFree(entry)) return done();
        const seen = this.#seen.get(entry.key);
        const endsAt = (seen?.since ?? performance.now()) + (decode(entry)?.ttlMs ?? 0);
        timer = setTimeout(done, Math.min(Math.max(1, endsAt - performance.now()), 2 ** 31 - 1));
      };
      const watch = new BucketWatch(this.#bucket, encodeToken(key), {
        snapshot: ([entry]) => look(entry),
        change: look,
        // The next attempt to take the lock reports the problem.
        failed: () => done(),
      });
      return () => {
        clearTimeout(timer);
        watch.close();
      };
    });
  }

  protected override async end(): Promise<void> {
    this.#closing.abort(
      new MicroError("unavailable", "cannot list leases: the sync is closed", {
        outcome: "not-executed",
      }),
    );
  }

  async #held(claim: LeaseClaim): Promise<{ lease: Lease; revision: number } | undefined> {
    const entry = await this.#bucket.get(encodeToken(claim.key));
    const lease = entry === undefined ? undefined : decode(entry);
    if (entry === undefined || lease?.owner !== claim.owner) return undefined;
    return { lease, revision: entry.revision };
  }

  /**
   * Writes the successor of a revision, and returns its own revision; undefined if another process
   * was faster.
   * @param taken the lease to continue; without one it begins.
   */
  async #replace(
    action: string,
    claim: LeaseClaim,
    ifRevision: number,
    taken: Lease | undefined,
  ): Promise<number | undefined> {
    const { owner, ttlMs, value } = claim;
    const { token = 0n, since } = taken ?? {};
    try {
      const text = JSON.stringify({ owner, token: `${token}`, ttlMs, value, since });
      return await this.#bucket.put(encodeToken(claim.key), Buffer.from(text), { ifRevision });
    } catch (error) {
      if (isWrongSequence(error)) return undefined;
      throw natsFailure(error, `${action} ${claim.key}`);
    }
  }

  /**
   * Whether an entry's lease is free: it was released, or has not changed for its ttl while we
   * watched.
   */
  #isFree(entry: BucketEntry): boolean {
    const lease = decode(entry);
    if (lease === undefined) {
      this.#seen.delete(entry.key);
      return true;
    }
    const now = performance.now();
    const seen = this.#seen.get(entry.key);
    if (seen?.revision === entry.revision) return now - seen.since >= lease.ttlMs;
    if (this.#seen.size >= maxSeen) {
      for (const oldest of this.#seen.keys()) {
        this.#seen.delete(oldest);
        break;
      }
    }
    this.#seen.set(entry.key, { revision: entry.revision, since: now });
    return false;
  }
}

/** The lease in an entry; undefined if it was released, or is not valid. */
function decode(entry: BucketEntry): Lease | undefined {
  if (entry.deleted) return undefined;
  try {
    const found = JSON.parse(Buffer.from(entry.value).toString()) as Record<string, unknown>;
    const { owner, token, ttlMs, value, since } = found;
    if (
      typeof owner === "string" &&
      typeof token === "string" &&
      typeof ttlMs === "number" &&
      typeof value === "string"
    ) {
      // The entry that takes a lease cannot know its own revision and time, which are its token and
      // start.
      const taken = BigInt(token);
      return {
        owner,
        ttlMs,
        value,
        token: taken === 0n ? BigInt(entry.revision) : taken,
        since: typeof since === "number" ? since : entry.writtenAt,
      };
    }
  } catch {
    // Another program's entry: it holds nothing.
  }
  return undefined;
}
