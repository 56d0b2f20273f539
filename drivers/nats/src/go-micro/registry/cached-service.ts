import type { Deadline } from "@micro-es/runtime";
import { maxNodesPerService, WatchedNodes } from "@micro-es/runtime/driver";
import type { HeardNode } from "./service-json.ts";

interface Heard {
  readonly owner: string;
  readonly ttlMs: number;
  expiresAt: Deadline;
}

/** A lease counts as ended this much later than its ttl, because its renewal takes time. */
const slackMs = 300;

/** The known nodes of one service; each is removed when its announcements stop. */
export class CachedService {
  readonly nodes: WatchedNodes = new WatchedNodes();
  usedAt: Deadline = performance.now();
  askedAt: Deadline = Number.NEGATIVE_INFINITY;
  readonly #peerTtlMs: number;
  readonly #heard = new Map<string, Heard>();

  constructor(peerTtlMs: number) {
    this.#peerTtlMs = peerTtlMs;
  }

  put({ node, ttlMs = this.#peerTtlMs, owner }: HeardNode): void {
    if (this.nodes.size >= maxNodesPerService && this.nodes.get(node.id) === undefined) return;
    this.#heard.set(node.id, { owner, ttlMs, expiresAt: performance.now() + ttlMs + slackMs });
    this.nodes.put(node);
  }

  /** Removes a node, unless another registration has its id by now. */
  delete({ node, owner }: HeardNode): void {
    const heard = this.#heard.get(node.id);
    if (heard === undefined || (owner !== "" && heard.owner !== "" && heard.owner !== owner))
      return;
    this.#heard.delete(node.id);
    this.nodes.delete(node.id);
  }

  /**
   * Removes nodes whose announcements have stopped; waits while none can be received. Returns when
   * the next one is due.
   */
  expire(now: Deadline, deaf: boolean): Deadline {
    let next = Number.POSITIVE_INFINITY;
    for (const [id, heard] of this.#heard) {
      if (heard.expiresAt <= now) {
        if (!deaf) {
          this.#heard.delete(id);
          this.nodes.delete(id);
          continue;
        }
        heard.expiresAt = now + heard.ttlMs + slackMs;
      }
      next = Math.min(next, heard.expiresAt);
    }
    return next;
  }
}
