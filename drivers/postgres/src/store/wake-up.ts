import type { PostgresLink } from "../link/link.ts";

/**
 * Wakes the watches of all processes after writes. NOTIFY in the transaction of a write would
 * commit the writes of a whole database one after another, so it follows in a transaction of its
 * own, which serves all writes made meanwhile. If it is lost, watches find the change when they
 * poll.
 */
export class WakeUp {
  readonly #link: PostgresLink;
  readonly #channel: string;
  #sending: Promise<void> | undefined;
  #isDue = false;

  constructor(link: PostgresLink, channel: string) {
    this.#link = link;
    this.#channel = channel;
  }

  written(): void {
    this.#isDue = true;
    this.#sending ??= this.#send().finally(() => {
      this.#sending = undefined;
    });
  }

  /** Resolves when all that was written has been told, or cannot be. */
  async settled(): Promise<void> {
    await this.#sending;
  }

  async #send(): Promise<void> {
    while (this.#isDue) {
      this.#isDue = false;
      await this.#link.notify(this.#channel, "");
    }
  }
}
