import { monotonicNow } from "../deadline.ts";
import type { MicroError } from "../error.ts";
import type { Logger } from "../logger.ts";

/** The least time between two lines, in milliseconds. */
const gapMs = 1_000;

/**
 * Logs connections that broke the protocol or a limit. Whoever opens many such must not fill the log, so there is
 * a line a second at most, with the number of those before it that had none.
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
