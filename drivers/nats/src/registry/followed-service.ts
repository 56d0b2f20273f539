import type { Deadline, Logger } from "@micro-es/runtime";
import { maxNodesPerService, WatchedNodes } from "@micro-es/runtime/driver";
import type { BucketEntry, NatsBucket } from "../link/bucket.ts";
import { type BucketFollower, BucketWatch } from "../link/bucket-watch.ts";
import { decodeRecord, keysOf } from "./record.ts";

interface Lease {
  readonly id: string;
  readonly ttlMs: number;
  expiresAt: Deadline;
}

interface Waiting {
  readonly resolve: () => void;
  readonly reject: (reason: unknown) => void;
}

/** A lease counts as ended this much later than its ttl, because a renewal takes time. */
const slackMs = 300;

/**
 * The nodes of one service in the bucket, followed as long as they are requested. Nodes that are
 * not renewed are removed; while renewal is impossible, because the server is unreachable, none is.
 */
export class FollowedService implements BucketFollower {
  readonly nodes: WatchedNodes = new WatchedNodes();
  /** When it was last requested. */
  usedAt: Deadline = performance.now();
  readonly #service: string;
  readonly #logger: Logger;
  readonly #watch: BucketWatch;
  readonly #connected: () => boolean;
  readonly #onLease: (expiresAt: Deadline) => void;
  /** By key in the bucket. */
  readonly #leases = new Map<string, Lease>();
  readonly #waiting = new Set<Waiting>();
  #warnedFull = false;
  #known = false;

  constructor(
    service: string,
    bucket: NatsBucket,
    logger: Logger,
    onLease: (expiresAt: Deadline) => void,
  ) {
    this.#service = service;
    this.#logger = logger;
    this.#connected = () => bucket.link.connected;
    this.#onLease = onLease;
    this.#watch = new BucketWatch(bucket, keysOf(service), this);
  }

  /** Resolves when the nodes are known. @throws MicroError when they cannot be determined now. */
  known(): Promise<void> {
    if (this.#known) return Promise.resolve();
    return new Promise((resolve, reject) => this.#waiting.add({ resolve, reject }));
  }

  /** Resolves when the nodes are known, however long that takes. */
  async eventuallyKnown(signal: AbortSignal): Promise<void> {
    while (!this.#known && !signal.aborted) await this.known().catch(() => {});
  }

  snapshot(entries: readonly BucketEntry[], serverTime: number): void {
    const now = performance.now();
    const before = new Map(this.#leases);
    const wasKnown = this.#known;
    const nodes = new Map(this.nodes.list().map((node) => [node.id, node]));
    for (const entry of entries) {
      const known = before.get(entry.key);
      before.delete(entry.key);
      const record = entry.deleted ? undefined : this.#decode(entry);
      if (record === undefined) {
        this.#leases.delete(entry.key);
        if (known !== undefined) nodes.delete(known.id);
        continue;
      }
      const { node, ttlMs } = record;
      const age = Math.max(0, serverTime - entry.writtenAt);
      // A node known before a gap could not renew during it: it gets a full ttl from now to do so.
      const left = known === undefined ? ttlMs - age : ttlMs;
      if (left <= 0 || (known === undefined && nodes.size >= maxNodesPerService)) continue;
      nodes.set(node.id, node);
      this.#lease(entry.key, node.id, ttlMs, now + left);
    }
    // The server no longer has these, because it was wiped or they were not renewed for long: the
    // same applies.
    for (const [key, lease] of before) this.#lease(key, lease.id, lease.ttlMs, now + lease.ttlMs);
    this.nodes.replace([...nodes.values()]);
    this.#known = true;
    if (!wasKnown) this.#settleWaiting((waiting) => waiting.resolve());
  }

  change(entry: BucketEntry): void {
    if (entry.deleted) {
      const lease = this.#leases.get(entry.key);
      this.#leases.delete(entry.key);
      if (lease !== undefined) this.nodes.delete(lease.id);
      return;
    }
    const record = this.#decode(entry);
    if (record === undefined) return;
    const { node, ttlMs } = record;
    if (this.nodes.size >= maxNodesPerService && this.nodes.get(node.id) === undefined) {
      this.#warnFull();
      return;
    }
    if (this.nodes.size < maxNodesPerService / 2) this.#warnedFull = false;
    this.#lease(entry.key, node.id, ttlMs, performance.now() + ttlMs);
    this.nodes.put(node);
  }

  /** Warns once while the service has as many nodes as are kept, however many writes follow. */
  #warnFull(): void {
    if (this.#warnedFull) return;
    this.#warnedFull = true;
    this.#logger.warn(
      { service: this.#service },
      `the service has more than ${maxNodesPerService} nodes; the others are ignored`,
    );
  }

  failed(error: unknown): void {
    this.#settleWaiting((waiting) => waiting.reject(error));
  }

  /** Removes the nodes whose lease has ended; returns when the next one ends. */
  expire(now: Deadline, stalled: boolean): Deadline {
    let next = Number.POSITIVE_INFINITY;
    for (const [key, lease] of this.#leases) {
      if (lease.expiresAt <= now) {
        if (this.#connected() && !stalled) {
          this.#leases.delete(key);
          this.nodes.delete(lease.id);
          continue;
        }
        // Renewals could not arrive, or have not been read yet: they get the time that they may
        // take.
        lease.expiresAt = now + lease.ttlMs + slackMs;
      }
      next = Math.min(next, lease.expiresAt);
    }
    return next;
  }

  close(): void {
    this.#watch.close();
    this.nodes.end();
    this.#settleWaiting((waiting) => waiting.resolve());
  }

  #lease(key: string, id: string, ttlMs: number, endsAt: Deadline): void {
    const expiresAt = endsAt + slackMs;
    this.#leases.set(key, { id, ttlMs, expiresAt });
    this.#onLease(expiresAt);
  }

  #decode(entry: BucketEntry): ReturnType<typeof decodeRecord> | undefined {
    try {
      return decodeRecord(entry.key, entry.value);
    } catch (reason) {
      this.#logger.debug({ key: entry.key, reason }, "a record of the registry bucket was refused");
      return undefined;
    }
  }

  #settleWaiting(settle: (waiting: Waiting) => void): void {
    for (const waiting of this.#waiting) settle(waiting);
    this.#waiting.clear();
  }
}
