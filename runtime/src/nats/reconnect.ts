import { ErrorCode, type NatsConnection, NatsError } from "nats";
import { type Backoff, backoffMs } from "../backoff.ts";

/** From 100 to 200 ms before the first try, and from 500 ms to a second before the fourth and all later ones. */
const backoff: Backoff = { firstMs: 150, factor: 2, mostMs: 750, jitter: 1 / 3 };

/** What the library's connection has beyond its type: how it dials one of its servers. */
interface ConnectionInternals {
  readonly protocol?: { _doDial?(server: unknown): Promise<void> };
}

/**
 * The waits before each try to dial a connection again that was lost. There is chance in them, so that connections that are
 * lost together, as when a server restarts, do not come back together.
 *
 * The library has a delay of its own, which it counts from when a server was last dialled: one that was dialled long ago, or
 * never, it dials at once. So it is told to delay nothing, and waits here before it dials.
 */
export class ReconnectWaits {
  #tries = 0;
  #installed = false;

  /** What the library itself delays, in milliseconds. */
  readonly delayMs = (): number => (this.#installed ? 0 : backoff.mostMs);

  /** Has a connection wait from now on. */
  install(connection: NatsConnection): void {
    const { protocol } = connection as ConnectionInternals;
    const dial = protocol?._doDial?.bind(protocol);
    this.#installed = protocol !== undefined && dial !== undefined;
    if (protocol === undefined || dial === undefined) return;
    protocol._doDial = async (server) => {
      const waitMs = backoffMs(backoff, ++this.#tries, Math.random);
      await new Promise((resolve) => setTimeout(resolve, waitMs));
      if (connection.isClosed()) throw new NatsError("closed", ErrorCode.ConnectionClosed);
      await dial(server);
    };
  }

  /** The connection is there; the next loss begins with the shortest wait. */
  reset(): void {
    this.#tries = 0;
  }
}
