import type { Deadline, Logger, MicroError, Node } from "@micro-es/runtime";
import { maxNodesPerService, WatchedNodes } from "@micro-es/runtime/driver";
import type { EtcdEntry, Snapshot } from "../link/entries.ts";
import type { WatchFollower } from "../link/watches.ts";
import { decodeRecord, type NodeRecord } from "./record.ts";

interface Waiting {
  readonly resolve: () => void;
  readonly reject: (reason: unknown) => void;
}

/** A node as stored in etcd. */
interface Known {
  readonly id: string;
  readonly ttlMs: number;
}

/** Shorter gaps end no lease: etcd grants at least 2 s, and renewals come at a third of that. */
const shortGapMs = 1_000;
/**
 * For this long after a gap, nodes that disappear are likely to come back: their leases ended
 * because they could not be renewed.
 */
const holdMs = 5_000;

/**
 * The nodes of one service as stored in etcd, followed as long as they are requested. While etcd is
 * unreachable they stay. Those that are missing when it is back stay for their ttl, in which live
 * nodes register again.
 */
export class FollowedService implements WatchFollower {
  readonly nodes: WatchedNodes = new WatchedNodes();
  /** When it was last requested. */
  usedAt: Deadline = performance.now();
  readonly #service: string;
  readonly #prefix: string;
  readonly #logger: Logger;
  readonly #onHeld: (until: Deadline) => void;
  /** By key. */
  readonly #known = new Map<string, Known>();
  /** Nodes that are no longer in etcd, by id, and until when they are kept. */
  readonly #held = new Map<string, Deadline>();
  readonly #waiting = new Set<Waiting>();
  #holdUntil: Deadline = Number.NEGATIVE_INFINITY;
  #isKnown = false;
  #warnedFull = false;
  #warnedInvalid = false;

  constructor(service: string, prefix: string, logger: Logger, onHeld: (until: Deadline) => void) {
    this.#service = service;
    this.#prefix = prefix;
    this.#logger = logger;
    this.#onHeld = onHeld;
  }

  /** Resolves when the nodes are known. @throws MicroError when they cannot be determined now. */
  known(): Promise<void> {
    if (this.#isKnown) return Promise.resolve();
    return new Promise((resolve, reject) => this.#waiting.add({ resolve, reject }));
  }

  /** Resolves when the nodes are known, however long that takes. */
  async eventuallyKnown(signal: AbortSignal): Promise<void> {
    while (!this.#isKnown && !signal.aborted) await this.known().catch(() => {});
  }

  resumed(gapMs: number): void {
    if (gapMs > shortGapMs) this.#holdUntil = performance.now() + holdMs;
  }

  snapshot({ entries, truncated }: Snapshot): void {
    const before = new Map(this.#known);
    this.#known.clear();
    const nodes = new Map<string, Node>();
    for (const entry of entries) {
      const record = this.#decode(entry);
      if (record === undefined) continue;
      if (nodes.size >= maxNodesPerService && !nodes.has(record.node.id)) {
        this.#warnFull();
        continue;
      }
      this.#remember(entry.key, record);
      nodes.set(record.node.id, record.node);
    }
    if (truncated) this.#warnFull();
    const now = performance.now();
    for (const { id, ttlMs } of before.values()) {
      const node = this.nodes.get(id);
      if (node === undefined || nodes.has(id) || now >= this.#holdUntil) continue;
      this.#hold(id, now + ttlMs);
    }
    for (const id of this.#held.keys()) {
      const node = this.nodes.get(id);
      if (node !== undefined && !nodes.has(id)) nodes.set(id, node);
    }
    this.nodes.replace([...nodes.values()]);
    if (this.#isKnown) return;
    this.#isKnown = true;
    this.#settleWaiting((waiting) => waiting.resolve());
  }

  change(entry: EtcdEntry): void {
    const record = entry.deleted ? undefined : this.#decode(entry);
    if (record === undefined) {
      this.#remove(entry.key);
      return;
    }
    const { node } = record;
    if (this.nodes.size >= maxNodesPerService && this.nodes.get(node.id) === undefined) {
      this.#warnFull();
      return;
    }
    if (this.nodes.size < maxNodesPerService / 2) this.#warnedFull = false;
    this.#remember(entry.key, record);
    this.nodes.put(node);
  }

  failed(reason: MicroError): void {
    this.#settleWaiting((waiting) => waiting.reject(reason));
  }

  /** Removes nodes that did not come back; returns when the next one is due. */
  expire(now: Deadline, connected: boolean): Deadline {
    let next = Number.POSITIVE_INFINITY;
    for (const [id, until] of this.#held) {
      if (until <= now && connected) {
        this.#held.delete(id);
        this.nodes.delete(id);
      } else {
        // Without a connection, a missing node proves nothing.
        next = Math.min(next, Math.max(until, now + shortGapMs));
      }
    }
    return next;
  }

  close(): void {
    this.nodes.end();
    this.#settleWaiting((waiting) => waiting.resolve());
  }

  #remember(key: string, { node, ttlMs }: NodeRecord): void {
    this.#known.set(key, { id: node.id, ttlMs });
    this.#held.delete(node.id);
  }

  #remove(key: string): void {
    const known = this.#known.get(key);
    this.#known.delete(key);
    if (known === undefined) return;
    const now = performance.now();
    if (now < this.#holdUntil) this.#hold(known.id, now + known.ttlMs);
    else this.nodes.delete(known.id);
  }

  #hold(id: string, until: Deadline): void {
    this.#held.set(id, until);
    this.#onHeld(until);
  }

  #decode({ key, value }: EtcdEntry): NodeRecord | undefined {
    try {
      return decodeRecord(this.#prefix, key, value);
    } catch (error) {
      if (!this.#warnedInvalid) {
        this.#warnedInvalid = true;
        this.#logger.warn(
          { service: this.#service, key: key.slice(0, 512), error },
          "a record in etcd is not that of a node; it is ignored, and so are others of the service, without a message",
        );
      }
      return undefined;
    }
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

  #settleWaiting(settle: (waiting: Waiting) => void): void {
    for (const waiting of this.#waiting) settle(waiting);
    this.#waiting.clear();
  }
}
