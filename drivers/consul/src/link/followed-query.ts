import { asMicroError, type MicroError } from "@micro-es/runtime";
import { type Backoff, backoffMs, pauseUntilAborted } from "@micro-es/runtime/driver";
import type { ConsulLink } from "./link.ts";

/** Least time between the beginnings of two queries, for data that changes all the time. */
const leastGapMs = 50;
/** Shorter gaps end no lease of a node. */
const shortGapMs = 1_000;
/** After a response that refuses the query. */
const refused: Backoff = { firstMs: 500, factor: 2, mostMs: 5_000, jitter: 0.3 };

/** A reading, and the index of Consul that it belongs to. */
export interface Indexed {
  readonly index: number;
}

/** Receives what a {@link FollowedQuery} reads. */
export interface QueryFollower<T extends Indexed> {
  /** @param isSnapshot whether changes may have been missed before it. */
  read(reading: T, isSnapshot: boolean): void;
  /** Nothing can be read now; it is retried. @param isRefused whether Consul refuses the query. */
  failed(reason: MicroError, isRefused: boolean): void;
  /** Consul is back, after so long that what should be renewed meanwhile could not be. */
  resumed(): void;
}

/**
 * A blocking query that is repeated until it is closed. It begins with the leader's state. It
 * begins again when the index goes back, and after each failure: servers that lost their data would
 * keep an index from before waiting, without an error.
 */
export class FollowedQuery<T extends Indexed> {
  readonly #link: ConsulLink;
  readonly #query: (after: number, signal: AbortSignal) => Promise<T>;
  readonly #follower: QueryFollower<T>;
  readonly #ending = new AbortController();
  readonly #running: Promise<void>;
  /** Of the last reading; 0 for none that the next one may follow. */
  #index = 0;

  /** @param query reads at once after 0, or else when the index is beyond the given one. */
  constructor(
    link: ConsulLink,
    query: (after: number, signal: AbortSignal) => Promise<T>,
    follower: QueryFollower<T>,
  ) {
    this.#link = link;
    this.#query = query;
    this.#follower = follower;
    // The follower may not be complete yet.
    this.#running = Promise.resolve().then(() => this.#run());
  }

  /** Whether what was read last is current, as far as can be known. */
  get isCurrent(): boolean {
    return this.#index > 0;
  }

  /** Takes what was read elsewhere in this process, unless it is older than what is known. */
  accept(reading: T): void {
    if (this.#index > 0 && reading.index >= this.#index) this.#take(reading, false);
  }

  async close(): Promise<void> {
    this.#ending.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { signal } = this.#ending;
    let refusals = 0;
    while (!signal.aborted) {
      const began = performance.now();
      try {
        await this.#read(signal);
        refusals = 0;
        const leftMs = began + leastGapMs - performance.now();
        if (leftMs > 0) await pauseUntilAborted(leftMs, signal);
      } catch (error) {
        if (signal.aborted) return;
        const failedAt = performance.now();
        const reason = asMicroError(error, "unavailable");
        this.#index = 0;
        const isRefused = this.#link.connected;
        this.#follower.failed(reason, isRefused);
        if (isRefused) await pauseUntilAborted(backoffMs(refused, ++refusals, Math.random), signal);
        else await this.#link.untilConnected(signal);
        // An agent that did not respond in time may have been silent for long.
        const gapMs = performance.now() - failedAt;
        if (reason.code === "deadline_exceeded" || gapMs > shortGapMs) this.#follower.resumed();
      }
    }
  }

  async #read(signal: AbortSignal): Promise<void> {
    const after = this.#index;
    const reading = await this.#query(after, signal);
    if (signal.aborted) return;
    if (after > 0 && reading.index < after) {
      // The servers lost their data, or this one is behind: only the leader's state is current.
      this.#index = 0;
      this.#follower.resumed();
    } else if (after === 0 || reading.index >= this.#index) {
      this.#take(reading, after === 0);
    }
  }

  #take(reading: T, isSnapshot: boolean): void {
    this.#follower.read(reading, isSnapshot);
    // A query that waits for a change after 0 would not wait.
    this.#index = Math.max(reading.index, 1);
  }
}
