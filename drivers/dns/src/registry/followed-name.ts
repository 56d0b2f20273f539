import { asMicroError, type Node } from "@micro-es/runtime";
import {
  type Following,
  type NodeFollower,
  pauseUntilAborted,
  sharedAbortController,
  validateNode,
} from "@micro-es/runtime/driver";
import type { DnsLink } from "../link/link.ts";
import type { Found, Place } from "./look-up.ts";

/** How often a service is looked up, in milliseconds. */
const shortestPollMs = 1_000;
const longestPollMs = 60_000;
/** A name that has no records may get some at any time, and a server that failed may be back. */
const longestRetryMs = 5_000;

/** What a {@link FollowedName} looks up. */
export interface FollowedNameParts {
  readonly link: DnsLink;
  readonly service: string;
  /** Metadata of all nodes. */
  readonly metadata: Readonly<Record<string, string>>;
  /** How long a lookup that fails is repeated before the first success, in milliseconds. */
  readonly startTimeoutMs: number;
  readonly lookUp: (signal: AbortSignal) => Promise<Found>;
}

/**
 * Looks up a service again and again, at the time to live of its records. While no server responds
 * its nodes stay. A name without records has no nodes only at the second lookup, because a server
 * may lack a zone while it reloads it.
 */
export class FollowedName implements Following {
  readonly #parts: FollowedNameParts;
  readonly #follower: NodeFollower;
  readonly #ended: AbortController = sharedAbortController();
  readonly #begunAt = performance.now();
  readonly #running: Promise<void>;
  #isCurrent = false;
  #hasNodes = false;
  /** Whether the last lookup had no records, and the one before had. */
  #isDoubtful = false;

  constructor(parts: FollowedNameParts, follower: NodeFollower) {
    this.#parts = parts;
    this.#follower = follower;
    this.#running = this.#run();
  }

  get isCurrent(): boolean {
    return this.#isCurrent;
  }

  get hasNodes(): boolean {
    return this.#hasNodes;
  }

  async close(): Promise<void> {
    this.#ended.abort();
    this.#parts.link.report(this.#parts.service, undefined);
    await this.#running;
  }

  async #run(): Promise<void> {
    // The follower is told nothing before its constructor returns.
    await undefined;
    const { signal } = this.#ended;
    let delayMs = shortestPollMs;
    while (!signal.aborted) {
      try {
        const found = await this.#parts.lookUp(signal);
        if (signal.aborted) return;
        delayMs = this.#accept(found);
      } catch (error) {
        if (signal.aborted) return;
        this.#fail(error);
        delayMs = Math.min(delayMs, longestRetryMs);
      }
      await pauseUntilAborted(withJitter(delayMs), signal);
    }
  }

  /** Returns after how long the next lookup is due, in milliseconds. */
  #accept({ places, ttl, incomplete }: Found): number {
    const { link, service } = this.#parts;
    this.#isCurrent = incomplete === undefined;
    link.report(service, incomplete);
    if (places.length === 0 && this.#hasNodes && !this.#isDoubtful) {
      this.#isDoubtful = true;
      return shortestPollMs;
    }
    this.#isDoubtful = false;
    this.#hasNodes = places.length > 0;
    this.#follower.snapshot(
      places.map((place) => ({
        key: place.id,
        decode: () => ({ node: this.#node(place), ttlMs: longestPollMs, owner: "" }),
      })),
    );
    const longest = places.length === 0 ? longestRetryMs : longestPollMs;
    return Math.min(Math.max(ttl * 1_000, shortestPollMs), longest);
  }

  #fail(reason: unknown): void {
    const { link, service, startTimeoutMs } = this.#parts;
    const error = asMicroError(reason, "unavailable");
    this.#isCurrent = false;
    this.#isDoubtful = false;
    link.report(service, error);
    const waitedMs = performance.now() - this.#begunAt;
    if (link.wasReached || waitedMs >= startTimeoutMs) this.#follower.failed(error);
  }

  #node({ id, address, metadata }: Place): Node {
    const { service } = this.#parts;
    return validateNode({
      id,
      service,
      version: "",
      address,
      metadata: { ...this.#parts.metadata, ...metadata },
      endpoints: [],
    });
  }
}

/** Ten percent less or more, but at most a second more. */
function withJitter(ms: number): number {
  return Math.min(ms * (0.9 + Math.random() * 0.2), ms + 1_000);
}
