import {
  asMicroError,
  type Deadline,
  type Logger,
  type MicroError,
  type Node,
} from "@micro-es/runtime";
import { maxNodesPerService, WatchedNodes } from "@micro-es/runtime/driver";
import { FollowedQuery, shortGapMs } from "../link/followed-query.ts";
import type { ConsulLink } from "../link/link.ts";
import { type Instance, type Reading, readService } from "./reading.ts";
import { decodeService, type NodeRecord } from "./record.ts";

interface Waiting {
  readonly resolve: () => void;
  readonly reject: (reason: unknown) => void;
}

/** A record that was decoded before; undefined if it is not that of a node. */
interface Decoded {
  readonly modified: number;
  readonly record: NodeRecord | undefined;
}

/**
 * For this long after a gap, nodes that disappear are likely to come back: their checks could not
 * be renewed, or their agent forgot them.
 */
const holdMs = 5_000;

/**
 * The nodes of one service, followed by blocking queries as long as they are requested. While
 * Consul is unavailable they stay. Those that are missing when it is back stay for their ttl, in
 * which live nodes are renewed or register again.
 */
export class FollowedService {
  readonly nodes: WatchedNodes = new WatchedNodes();
  /** When it was last requested. */
  usedAt: Deadline = performance.now();
  readonly #service: string;
  readonly #logger: Logger;
  readonly #onHeld: (until: Deadline) => void;
  readonly #query: FollowedQuery<Reading>;
  /** By agent and id. */
  #decoded = new Map<string, Decoded>();
  /** The ttl of each node, by id. */
  readonly #ttls = new Map<string, number>();
  /** Nodes that Consul does not list as alive, by id, and until when they are kept. */
  readonly #held = new Map<string, Deadline>();
  readonly #waiting = new Set<Waiting>();
  #holdUntil: Deadline = Number.NEGATIVE_INFINITY;
  #isKnown = false;
  #warnedRefused = false;
  #warnedFull = false;
  #warnedInvalid = false;

  /** @param waitMs how long a query may wait for a change, in milliseconds. */
  constructor(
    link: ConsulLink,
    service: string,
    logger: Logger,
    waitMs: () => number,
    onHeld: (until: Deadline) => void,
  ) {
    this.#service = service;
    this.#logger = logger;
    this.#onHeld = onHeld;
    this.#query = new FollowedQuery<Reading>(
      link,
      (after, signal) => readService(link, service, { after, waitMs: waitMs(), signal }),
      {
        read: (reading, isSnapshot) => this.#apply(reading, isSnapshot),
        failed: (reason, isRefused) => this.#failed(reason, isRefused),
        resumed: () => this.#expectReturns(),
      },
    );
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

  /** Takes what was read elsewhere in this process, unless it is older than what is known. */
  accept(reading: Reading): void {
    this.#query.accept(reading);
  }

  /** Removes nodes that did not come back; returns when the next one is due. */
  expire(now: Deadline): Deadline {
    let next = Number.POSITIVE_INFINITY;
    for (const [id, until] of this.#held) {
      if (until <= now && this.#query.isCurrent) {
        this.#held.delete(id);
        this.nodes.delete(id);
      } else {
        // Without a reading, a missing node proves nothing.
        next = Math.min(next, Math.max(until, now + shortGapMs));
      }
    }
    return next;
  }

  async close(): Promise<void> {
    this.nodes.end();
    this.#settleWaiting((waiting) => waiting.resolve());
    await this.#query.close();
  }

  #expectReturns(): void {
    this.#holdUntil = performance.now() + holdMs;
  }

  #apply({ instances }: Reading, isSnapshot: boolean): void {
    // After a loss of data, an index may come back with other contents.
    if (isSnapshot) this.#decoded = new Map();
    const nodes = this.#live(instances);
    const now = performance.now();
    for (const node of this.nodes.list()) {
      const { id } = node;
      if (nodes.has(id) || this.#held.has(id) || now >= this.#holdUntil) continue;
      const until = now + (this.#ttls.get(id) ?? 0);
      this.#held.set(id, until);
      this.#onHeld(until);
    }
    for (const id of nodes.keys()) this.#held.delete(id);
    for (const id of this.#held.keys()) {
      const node = this.nodes.get(id);
      if (node !== undefined) nodes.set(id, node);
    }
    if (isSnapshot) {
      this.nodes.replace([...nodes.values()]);
    } else {
      for (const { id } of this.nodes.list()) if (!nodes.has(id)) this.nodes.delete(id);
      for (const node of nodes.values()) this.nodes.put(node);
    }
    this.#warnedRefused = false;
    if (this.#isKnown) return;
    this.#isKnown = true;
    this.#settleWaiting((waiting) => waiting.resolve());
  }

  /** The nodes that are alive, by id. */
  #live(instances: readonly Instance[]): Map<string, Node> {
    const decoded = new Map<string, Decoded>();
    const nodes = new Map<string, Node>();
    const modified = new Map<string, number>();
    for (const instance of instances) {
      const key = JSON.stringify([instance.agent, instance.service.id]);
      const known = this.#decoded.get(key);
      const isSame = known !== undefined && known.modified === instance.modified;
      const entry = isSame
        ? known
        : { modified: instance.modified, record: this.#decode(instance) };
      decoded.set(key, entry);
      const { record } = entry;
      if (record === undefined || !instance.isAlive) continue;
      const { node, ttlMs } = record;
      if (nodes.size >= maxNodesPerService && !nodes.has(node.id)) {
        this.#warnFull();
        continue;
      }
      // Registered at several agents: the last one counts.
      if ((modified.get(node.id) ?? -1) > instance.modified) continue;
      modified.set(node.id, instance.modified);
      this.#ttls.set(node.id, ttlMs);
      nodes.set(node.id, node);
    }
    if (nodes.size < maxNodesPerService / 2) this.#warnedFull = false;
    this.#decoded = decoded;
    for (const id of this.#ttls.keys()) {
      if (!nodes.has(id) && this.nodes.get(id) === undefined) this.#ttls.delete(id);
    }
    return nodes;
  }

  #decode({ service }: Instance): NodeRecord | undefined {
    try {
      return decodeService(service);
    } catch (error) {
      if (!this.#warnedInvalid) {
        this.#warnedInvalid = true;
        this.#logger.warn(
          { service: this.#service, id: service.id.slice(0, 512), error: asMicroError(error) },
          "a service in Consul is not a valid node; it is ignored, and so are others of its name, without a message",
        );
      }
      return undefined;
    }
  }

  #failed(error: MicroError, isRefused: boolean): void {
    this.#settleWaiting((waiting) => waiting.reject(error));
    if (!isRefused || this.#warnedRefused) return;
    this.#warnedRefused = true;
    this.#logger.warn(
      { service: this.#service, error },
      "Consul refuses to list the nodes of a service; trying again",
    );
  }

  /** Warns once while the service has as many nodes as are kept, however many changes follow. */
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
