import type { Backoff } from "@micro-es/runtime/driver";
import { backoffMs } from "@micro-es/runtime/driver";
import { ErrorCode, type NatsConnection, NatsError } from "nats";

/**
 * From 100 to 200 ms before the first attempt, and from 500 ms to a second before the fourth and
 * all later ones.
 */
const backoff: Backoff = { firstMs: 150, factor: 2, mostMs: 750, jitter: 1 / 3 };

/** A property of the library's connection that its type lacks: how it dials one of its servers. */
interface ConnectionInternals {
  readonly protocol?: { _doDial?(server: unknown): Promise<void> };
}

/**
 * The waits before each attempt to restore a lost connection. They are random, so that connections
 * that are lost together, for example when a server restarts, do not all come back at once.
 *
 * The library has a delay of its own, counted from when a server was last dialled: a server that
 * was dialled long ago, or never, is dialled at once. So its delay is set to zero, and the wait
 * happens here before it dials.
 */
export class ReconnectWaits {
  #tries = 0;
  #installed = false;

  /** The library's own delay, in milliseconds. */
  readonly delayMs = (): number => (this.#installed ? 0 : backoff.mostMs);

  /** Makes a connection wait from now on. */
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

  /** The connection is restored; the next loss begins with the shortest wait. */
  reset(): void {
    this.#tries = 0;
  }
}
