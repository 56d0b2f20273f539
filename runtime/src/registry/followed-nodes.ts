import type { Deadline } from "../base/deadline.ts";
import { asMicroError, type MicroError } from "../base/error.ts";
import type { Logger } from "../base/logger.ts";
import type {
  Following,
  NodeBackend,
  NodeFollower,
  NodeRecord,
  StoredNode,
} from "./node-backend.ts";
import { maxNodesPerService, type Node } from "./registry.ts";
import { WatchedNodes } from "./watched-nodes.ts";

interface Waiting {
  readonly resolve: () => void;
  readonly reject: (reason: unknown) => void;
}

interface Known {
  readonly node: Node;
  readonly ttlMs: number;
  /** How many gaps there had been when it was first seen. */
  readonly gaps: number;
  /** When it is removed unless its record is seen again; Infinity while the backend has it. */
  until: Deadline;
}

/** Shorter gaps end no record: nodes renew theirs at a third of its ttl. */
const shortGapMs = 1_000;
/**
 * For this long after a gap, nodes that disappear are likely to come back: their records ended
 * because they could not be renewed.
 */
const holdMs = 5_000;
/** A reader ends a record this much later than its ttl, because a renewal takes time. */
const slackMs = 300;

/**
 * The nodes of one service as a backend has them, followed as long as they are requested. While the
 * backend is unreachable they stay. Those that are missing when it is back stay for their ttl, in
 * which live nodes register again.
 */
export class FollowedNodes implements NodeFollower {
  readonly nodes: WatchedNodes = new WatchedNodes();
  /** When they were last requested. */
  usedAt: Deadline = performance.now();
  readonly #backend: NodeBackend;
  readonly #service: string;
  readonly #logger: Logger;
  readonly #onDue: (until: Deadline) => void;
  readonly #following: Following;
  readonly #isReaders: boolean;
  /** By key in the backend, in the order in which they were written. */
  #known = new Map<string, Known>();
  readonly #waiting = new Set<Waiting>();
  /** How many gaps there have been in which records may have ended. */
  #gaps = 0;
  #holdUntil: Deadline = Number.NEGATIVE_INFINITY;
  #isKnown = false;
  #warnedFull = false;
  #warnedInvalid = false;

  /** @param onDue told the deadlines at which {@link expire} is to be called. */
  constructor(
    backend: NodeBackend,
    service: string,
    logger: Logger,
    onDue: (until: Deadline) => void,
  ) {
    this.#backend = backend;
    this.#service = service;
    this.#logger = logger;
    this.#onDue = onDue;
    this.#isReaders = backend.expiry === "reader";
    this.#following = backend.follow(service, this, logger);
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

  resumed(gapMs: number = Number.POSITIVE_INFINITY): void {
    if (gapMs <= shortGapMs) return;
    this.#gaps++;
    this.#holdUntil = performance.now() + holdMs;
  }

  snapshot(records: readonly StoredNode[], isCut: boolean = false): void {
    const now = performance.now();
    const before = this.#known;
    this.#known = new Map();
    for (const record of records) {
      const { key, ageMs = 0 } = record;
      const known = before.get(key);
      before.delete(key);
      const found = this.#decode(record);
      if (found === undefined || !this.#hasRoom(key)) continue;
      // One that was known before a gap could not be renewed during it.
      const leftMs = known === undefined ? found.ttlMs - ageMs : found.ttlMs;
      if (!this.#isReaders || leftMs > 0) this.#remember(key, found, now + leftMs, known?.gaps);
    }
    if (isCut) this.#warnFull();
    for (const [key, known] of before) {
      const isHeld = known.until !== Number.POSITIVE_INFINITY;
      if ((!isHeld && !this.#mayReturn(known, now)) || !this.#hasRoom(key)) continue;
      // The same applies to one whose record is gone.
      if (!isHeld || this.#isReaders) this.#hold(known, now);
      this.#known.set(key, known);
    }
    const nodes = new Map([...this.#known.values()].map(({ node }) => [node.id, node]));
    this.nodes.replace([...nodes.values()]);
    if (this.#isKnown) return;
    this.#isKnown = true;
    this.#settleWaiting((waiting) => waiting.resolve());
  }

  put(record: StoredNode): boolean {
    const { key, ageMs = 0 } = record;
    const found = this.#decode(record);
    if (found === undefined) {
      this.delete(key);
      return true;
    }
    if (!this.#hasRoom(key)) return false;
    if (this.#known.size < maxNodesPerService / 2) this.#warnedFull = false;
    const { gaps } = this.#known.get(key) ?? {};
    this.#remember(key, found, performance.now() + found.ttlMs - ageMs, gaps);
    this.nodes.put(found.node);
    return true;
  }

  delete(key: string): void {
    const known = this.#known.get(key);
    if (known === undefined) return;
    const now = performance.now();
    // A reader is told only what was deleted on purpose.
    if (!this.#isReaders && this.#mayReturn(known, now)) this.#hold(known, now);
    else this.#remove(key, known);
  }

  failed(reason: MicroError): void {
    this.#settleWaiting((waiting) => waiting.reject(reason));
  }

  /**
   * Removes nodes whose time is over; returns when the next one is due.
   * @param isLate whether this process was suspended, and may not have read what arrived.
   */
  expire(now: Deadline, isLate: boolean): Deadline {
    const isCurrent = this.#following.isCurrent && !isLate;
    let next = Number.POSITIVE_INFINITY;
    for (const [key, known] of this.#known) {
      if (known.until <= now && isCurrent) {
        this.#remove(key, known);
        continue;
      }
      // Renewals could not arrive, or have not been read yet: they get the time that they may take.
      if (known.until <= now) known.until = this.#endOf(now + known.ttlMs);
      next = Math.min(next, known.until);
    }
    return next;
  }

  async close(): Promise<void> {
    this.nodes.end();
    this.#settleWaiting((waiting) => waiting.resolve());
    await this.#following.close();
  }

  #remember(
    key: string,
    { node, ttlMs }: NodeRecord,
    endsAt: Deadline,
    gaps: number = this.#gaps,
  ): void {
    const until = this.#isReaders ? this.#endOf(endsAt) : Number.POSITIVE_INFINITY;
    this.#known.delete(key);
    this.#known.set(key, { node, ttlMs, gaps, until });
    if (this.#isReaders) this.#onDue(until);
  }

  /**
   * Whether its record may have ended because it could not be renewed during the last gap. One that
   * was first seen after it was withdrawn, or ended for another reason.
   */
  #mayReturn({ gaps }: Known, now: Deadline): boolean {
    return gaps < this.#gaps && now < this.#holdUntil;
  }

  #hold(known: Known, now: Deadline): void {
    known.until = this.#endOf(now + known.ttlMs);
    this.#onDue(known.until);
  }

  #endOf(endsAt: Deadline): Deadline {
    return this.#isReaders ? endsAt + slackMs : endsAt;
  }

  #remove(key: string, { node }: Known): void {
    const isOnly = this.#known.size === this.nodes.size;
    this.#known.delete(key);
    const others = isOnly
      ? []
      : [...this.#known.values()].filter((other) => other.node.id === node.id);
    const last = others.at(-1);
    if (last === undefined) this.nodes.delete(node.id);
    else this.nodes.put(last.node);
  }

  #decode({ key, decode }: StoredNode): NodeRecord | undefined {
    try {
      return decode();
    } catch (error) {
      if (!this.#warnedInvalid) {
        this.#warnedInvalid = true;
        this.#logger.warn(
          { service: this.#service, key: key.slice(0, 512), error: asMicroError(error) },
          `a record in ${this.#backend.name} is not that of a node; it is ignored, and so are others of the service, without a message`,
        );
      }
      return undefined;
    }
  }

  #hasRoom(key: string): boolean {
    if (this.#known.size < maxNodesPerService || this.#known.has(key)) return true;
    this.#warnFull();
    return false;
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
