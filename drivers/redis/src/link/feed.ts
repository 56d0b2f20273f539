import type { Buffer } from "node:buffer";
import { asMicroError, type MicroError } from "@micro-es/runtime";
import { type Backoff, backoffMs } from "@micro-es/runtime/driver";
import type { RedisConnection } from "./connection.ts";

/** Makes the connection of a {@link RedisFeed}. */
export interface FeedHost {
  another(blockMs: number): Promise<RedisConnection>;
  pause(ms: number): Promise<void>;
}

/** Receives the messages of a channel. */
export interface ChannelFollower {
  /** Messages published from now on are received. Earlier ones may have been missed. */
  following(): void;
  message(payload: Buffer): void;
  /** The channel cannot be followed now; it is retried. */
  failed(reason: MicroError): void;
}

const backoff: Backoff = { firstMs: 50, factor: 2, mostMs: 1_000, jitter: 0.5 };

/**
 * What is published on channels, on a connection of its own. A server delivers every message as
 * long as the connection lasts, and closes that of a reader that is too slow; so nothing is missed
 * between `following` and the end of the connection, after which `following` is told again.
 */
export class RedisFeed {
  readonly #host: FeedHost;
  readonly #followers = new Map<string, Set<ChannelFollower>>();
  #connection: RedisConnection | undefined;
  #running = false;
  #closed = false;

  constructor(host: FeedHost) {
    this.#host = host;
  }

  /** Follows a channel until the returned function is called. */
  follow(channel: string, follower: ChannelFollower): () => void {
    const others = this.#followers.get(channel);
    if (others === undefined) this.#followers.set(channel, new Set([follower]));
    else others.add(follower);
    if (!this.#running) void this.#run();
    else void this.#subscribe(channel, [follower]);
    return () => this.#leave(channel, follower);
  }

  close(): void {
    this.#closed = true;
    this.#followers.clear();
    this.#connection?.close();
  }

  #leave(channel: string, follower: ChannelFollower): void {
    const followers = this.#followers.get(channel);
    if (followers?.delete(follower) !== true || followers.size > 0) return;
    this.#followers.delete(channel);
    // A connection that has ended follows nothing.
    this.#connection?.unsubscribe(channel).catch(() => {});
  }

  /** Keeps a connection while the link is open. */
  async #run(): Promise<void> {
    this.#running = true;
    for (let failures = 0; !this.#closed; ) {
      try {
        const connection = await this.#host.another(0);
        if (this.#closed) {
          connection.close();
          return;
        }
        connection.onMessage((channel, message) => this.#receive(channel, message));
        this.#connection = connection;
        const ended = new Promise<Error>((resolve) => connection.onClose(resolve));
        failures = 0;
        await Promise.all(
          [...this.#followers].map(([channel, followers]) => this.#subscribe(channel, followers)),
        );
        const reason = await ended;
        this.#connection = undefined;
        this.#fail(asMicroError(reason, "unavailable"));
      } catch (error) {
        this.#connection = undefined;
        this.#fail(asMicroError(error, "unavailable"));
      }
      await this.#host.pause(backoffMs(backoff, ++failures, Math.random));
    }
  }

  /** Tells the followers once the server has confirmed. */
  async #subscribe(channel: string, followers: Iterable<ChannelFollower>): Promise<void> {
    const connection = this.#connection;
    if (connection === undefined) return;
    const told = [...followers];
    try {
      await connection.subscribe(channel);
    } catch (error) {
      // An end of the connection is told to all followers.
      if (connection.isOpen) this.#tellFailure(channel, told, asMicroError(error, "unavailable"));
      return;
    }
    if (this.#connection !== connection) return;
    for (const follower of told) if (this.#has(channel, follower)) follower.following();
    // All followers may have left meanwhile.
    if (!this.#followers.has(channel)) connection.unsubscribe(channel).catch(() => {});
  }

  #has(channel: string, follower: ChannelFollower): boolean {
    return this.#followers.get(channel)?.has(follower) === true;
  }

  #receive(channel: string, message: Buffer): void {
    for (const follower of this.#followers.get(channel) ?? []) follower.message(message);
  }

  #fail(reason: MicroError): void {
    for (const [channel, followers] of this.#followers) {
      this.#tellFailure(channel, [...followers], reason);
    }
  }

  #tellFailure(channel: string, followers: readonly ChannelFollower[], reason: MicroError): void {
    for (const follower of followers) if (this.#has(channel, follower)) follower.failed(reason);
  }
}
