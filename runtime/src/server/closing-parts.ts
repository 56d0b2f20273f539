import { MicroError, messageOf } from "../base/error.ts";
import type { Logger } from "../base/logger.ts";
import { type EndFailure, settleAll } from "../base/settle-all.ts";
import { GracePeriod } from "./grace-period.ts";
import { describe } from "./handler-errors.ts";

/**
 * Minimum time that closing gives the registry and the broker to remove a server, in milliseconds.
 */
export const partingMs = 1_000;

/** Ends the parts of a server, and collects the failures that its close reports. */
export class ClosingParts {
  readonly #server: string;
  readonly #logger: Logger;
  readonly #unclosed: EndFailure[] = [];

  /** @param server the name of the server */
  constructor(server: string, logger: Logger) {
    this.#server = server;
    this.#logger = logger;
  }

  /**
   * Runs an operation on all items and logs failures, so that the remaining items are still
   * processed.
   * @param nameOf given if a failure counts as a failure of the close, and not only as an earlier
   * loss.
   */
  async endAll<T>(
    what: string,
    all: readonly T[],
    end: (one: T) => unknown,
    nameOf?: (one: T) => string,
  ): Promise<void> {
    for (const failure of await settleAll(all, end, nameOf)) {
      const name = nameOf === undefined ? "" : ` ${failure.name}`;
      if (nameOf !== undefined) this.#unclosed.push(failure);
      this.#warn(failure.reason, `the server could not ${what}${name} cleanly`);
    }
  }

  /** Waits for a part to close, with a time limit. */
  async waitFor(closing: Promise<unknown>, name: string): Promise<void> {
    const parting = new GracePeriod(partingMs);
    let closed = false;
    await parting.wait(
      closing.then(() => {
        closed = true;
      }),
    );
    parting.end();
    if (closed) return;
    const reason = new MicroError("deadline_exceeded", `it did not close within ${partingMs} ms`);
    this.#unclosed.push({ name, reason });
    this.#warn(reason, `the server could not close ${name} cleanly`);
  }

  /**
   * Checks that everything was closed. The log contains the thrown errors; this reports that they
   * happened, and where.
   * @throws MicroError `internal` that names what did not close cleanly.
   */
  check(): void {
    if (this.#unclosed.length === 0) return;
    const said = this.#unclosed.map(({ name, reason }) => `${name} (${messageOf(reason)})`);
    const names = [...new Set(said)];
    throw new MicroError(
      "internal",
      `server ${this.#server} is closed, but these did not close cleanly: ${names.join(", ")}`,
      { cause: this.#unclosed[0]?.reason },
    );
  }

  #warn(reason: unknown, message: string): void {
    try {
      this.#logger.warn({ service: this.#server, error: describe(reason) }, message);
    } catch (failure) {
      process.emitWarning(`the logger threw at "${message}": ${messageOf(failure)}`);
    }
  }
}
