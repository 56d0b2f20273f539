import type { BackendState, StateListener } from "../backend.ts";
import { asMicroError, MicroError } from "../error.ts";
import { NatsLink } from "./link.ts";
import type { NatsOptions } from "./options.ts";

/** What a driver is built on: a connection that is shared, or options for one of its own. */
export type NatsDriverOptions = NatsOptions & {
  /** A connection that other drivers use as well; its maker closes it. */
  readonly link?: NatsLink;
};

/** What every driver on NATS has in common: its connection, whose state is the driver's, and that it closes once. */
export abstract class NatsDriver implements AsyncDisposable {
  protected readonly link: NatsLink;
  readonly #ownsLink: boolean;
  readonly #what: string;
  #closing: Promise<void> | undefined;

  /** @param what what it is in a message, such as `broker`. */
  constructor(options: NatsDriverOptions, what: string) {
    this.#what = what;
    this.#ownsLink = options.link === undefined;
    this.link = options.link ?? new NatsLink(options);
  }

  get state(): BackendState {
    return this.link.status.state;
  }

  onStateChange(listener: StateListener): () => void {
    return this.link.status.onStateChange(listener);
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Ends what the driver opened on its connection, before that is let go of. */
  protected async end(): Promise<void> {}

  /** @throws MicroError `unavailable` after {@link close}, or as the signal says once it has fired; not executed. */
  protected check(what: string, signal?: AbortSignal): void {
    if (this.#closing !== undefined) {
      throw new MicroError("unavailable", `cannot ${what}: the ${this.#what} is closed`, {
        outcome: "not-executed",
      });
    }
    if (signal?.aborted === true) {
      throw asMicroError(signal.reason, "canceled", { outcome: "not-executed" });
    }
  }

  async #close(): Promise<void> {
    await this.end();
    if (this.#ownsLink) await this.link.close();
  }
}
