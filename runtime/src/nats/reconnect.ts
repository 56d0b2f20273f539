import type { NatsConnection } from "nats";
import { type Backoff, backoffMs } from "../backoff.ts";

/** From 100 to 200 ms before the first try, and from 500 ms to a second before the fourth and all later ones. */
const backoff: Backoff = { firstMs: 150, factor: 2, mostMs: 750, jitter: 1 / 3 };

/** A server as the library knows it: it is dialled again when the wait has passed since this time of `Date.now()`. */
interface DialledServer {
  lastConnect: number;
}

/** What the library's connection has beyond its type. */
interface ConnectionInternals {
  readonly protocol?: { readonly servers?: { getServers(): readonly DialledServer[] } };
}

/**
 * The waits before each try to dial a connection again that was lost. There is chance in them, so that connections that are
 * lost together, as when a server restarts, do not come back together.
 *
 * The library asks for the wait each time it looks at the next of its servers, and counts it from when that one was last
 * dialled. One that was dialled long ago, or never, it would dial at once. So a wait is counted from its beginning for all
 * servers, and stays what it is until it has passed.
 */
export class ReconnectWaits {
  #connection: NatsConnection | undefined;
  #waits = 0;
  #current: { readonly ms: number; readonly endsAt: number } | undefined;

  /** The connection is there, for the first time or again. */
  connected(connection: NatsConnection): void {
    this.#connection = connection;
    this.#waits = 0;
    this.#current = undefined;
  }

  /** The wait in milliseconds, as the library's `reconnectDelayHandler`. */
  next(): number {
    // By the library's clock, which it compares with.
    const now = Date.now();
    if (this.#current === undefined) {
      const ms = Math.ceil(backoffMs(backoff, ++this.#waits, Math.random));
      this.#current = { ms, endsAt: now + ms };
      const { protocol } = (this.#connection ?? {}) as ConnectionInternals;
      for (const server of protocol?.servers?.getServers() ?? []) server.lastConnect = now;
      return ms;
    }
    const { ms, endsAt } = this.#current;
    // It has passed, so the library dials now, and the next wait begins when that fails.
    if (now >= endsAt) this.#current = undefined;
    return ms;
  }
}
