import { monotonicNow } from "../base/deadline.ts";
import type { MicroError } from "../base/error.ts";
import type { Logger } from "../base/logger.ts";

/** Minimum time between two lines, in milliseconds. */
const gapMs = 1_000;

/**
 * Logs connections that broke the protocol or exceeded a limit. To keep a peer that opens many of
 * them from filling the log, it writes at most one line a second, with the number of connections
 * not logged before it.
 */
export class ConnectionLog {
  readonly #logger: Logger;
  #nextAt = 0;
  #passedOver = 0;

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  add(transport: string, peer: string, error: MicroError): void {
    const now = monotonicNow();
    if (now < this.#nextAt) {
      this.#passedOver++;
      return;
    }
    this.#nextAt = now + gapMs;
    const more = this.#passedOver === 0 ? {} : { passedOver: this.#passedOver };
    this.#passedOver = 0;
    this.#logger.warn({ transport, peer, error, ...more }, "a connection was ended");
  }
}
