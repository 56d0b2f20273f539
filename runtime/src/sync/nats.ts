import { Buffer } from "node:buffer";
import { MicroError } from "../error.ts";
import { type BucketEntry, NatsBucket } from "../nats/bucket.ts";
import { snapshotOf } from "../nats/bucket-snapshot.ts";
import { BucketWatch } from "../nats/bucket-watch.ts";
import { NatsDriver, type NatsDriverOptions } from "../nats/driver.ts";
import { isWrongSequence, natsFailure } from "../nats/failure.ts";
import { decodeToken, encodeToken } from "../nats/token.ts";
import { LeaseSync } from "./lease-sync.ts";
import type { LeaseClaim, LeaseEntry, LeaseHolder, Leases } from "./leases.ts";
import type { Sync } from "./sync.ts";

/** Where a {@link natsSync} keeps its leases. */
export type NatsSyncOptions = NatsDriverOptions & {
  /** The key-value bucket; made when it is not there. Default `micro-sync`. */
  readonly bucket?: string;
  /** Copies of the bucket in a cluster. Default 1. */
  readonly replicas?: number;
};

/** What stands in the bucket for a lease. */
interface Lease {
  readonly owner: string;
  readonly token: bigint;
  readonly ttlMs: number;
  readonly value: string;
  /** When it was taken, on the server's clock. */
  readonly since: number;
}

/** A lease as it was last seen, and since when it has not changed, on this process's clock. */
interface Seen {
  readonly revision: number;
  readonly since: number;
}

/** Keys whose leases are remembered; the oldest is forgotten first, which only makes its takeover later. */
const maxSeen = 10_000;

/**
 * Locks and leaders in a NATS key-value bucket. Every change is a compare-and-set of the entry's revision, and a token
 * is the revision at which a lease was taken.
 *
 * A lease ends when its entry did not change for its ttl on the clock of who wants it, so no two clocks are compared.
 * A server that loses its data forgets who holds what; on a cluster the bucket should have three replicas.
 */
export function natsSync(options: NatsSyncOptions = {}): Sync {
  return new LeaseSync(new BucketLeases(options), {
    reach: "backend",
    fairness: "process",
    durability: "process-crash",
  });
}

class BucketLeases extends NatsDriver implements Leases {
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
    // A renewal whose answer was lost may yet arrive in between, and is ours as well.
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
      // Both times are the server's. A lease that was not renewed by now is one that nobody trusts any more.
      const expiresAt = entry.writtenAt + lease.ttlMs;
      return expiresAt <= serverTime ? [] : [{ ...lease, key, expiresAt }];
    });
  }

  async untilFree(key: string, signal: AbortSignal): Promise<void> {
    await new Promise<void>((resolve) => {
      let timer: NodeJS.Timeout | undefined;
      const look = (entry: BucketEntry | undefined) => {
        clearTimeout(timer);
        if (entry === undefined || this.#isFree(entry)) return done();
        const seen = this.#seen.get(entry.key);
        const endsAt = (seen?.since ?? performance.now()) + (decode(entry)?.ttlMs ?? 0);
        timer = setTimeout(done, Math.max(1, endsAt - performance.now()));
      };
      const watch = new BucketWatch(this.#bucket, encodeToken(key), {
        snapshot: ([entry]) => look(entry),
        change: look,
        // The next attempt to take the lock says what is wrong.
        failed: () => done(),
      });
      const done = () => {
        clearTimeout(timer);
        watch.close();
        signal.removeEventListener("abort", done);
        resolve();
      };
      signal.addEventListener("abort", done, { once: true });
      if (signal.aborted) done();
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
   * Writes what comes after a revision, and returns its own; undefined when somebody else was faster.
   * @param taken the lease that goes on; without one it begins.
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

  /** Whether nobody holds what an entry says: it was given back, or did not change for its ttl while we looked. */
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

/** The lease in an entry; undefined when it was given back, or is none. */
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
      // The entry that takes a lease cannot know its own revision and time, and these are its token and beginning.
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
    // Somebody else's entry: it holds nothing.
  }
  return undefined;
}
