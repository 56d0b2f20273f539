import { type BackendState, MicroError } from "@micro-es/runtime";
import {
  Closable,
  closeInOrder,
  type StateListener,
  throwIfAborted,
} from "@micro-es/runtime/driver";
import { NatsLink } from "./link.ts";
import type { NatsOptions } from "./options.ts";

/** The connection of a driver: a shared one, or options for one of its own. */
export type NatsDriverOptions = NatsOptions & {
  /** A connection shared with other drivers; its creator closes it. */
  readonly link?: NatsLink;
};

/**
 * The common base of all drivers on NATS: holds the connection, exposes the connection's state as
 * the driver's, and closes once.
 */
export abstract class NatsDriver extends Closable {
  protected readonly link: NatsLink;
  readonly #ownsLink: boolean;
  readonly #what: string;

  /** @param what the driver's name in a message, such as `broker`. */
  constructor(options: NatsDriverOptions, what: string) {
    super();
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

  /** Ends what the driver opened on its connection, before the connection is released. */
  protected async end(): Promise<void> {}

  /**
   * @throws MicroError `unavailable` after {@link close}, or the signal's error once it has fired;
   * not executed.
   */
  protected check(what: string, signal?: AbortSignal): void {
    if (this.isClosing) {
      throw new MicroError("unavailable", `cannot ${what}: the ${this.#what} is closed`, {
        outcome: "not-executed",
      });
    }
    throwIfAborted(signal);
  }

  protected override async closeOnce(): Promise<void> {
    await closeInOrder(
      () => this.end(),
      () => (this.#ownsLink ? this.link.close() : undefined),
    );
  }
}
