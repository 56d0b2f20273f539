import { type BackendState, MicroError } from "@micro-es/runtime";
import {
  Closable,
  closeInOrder,
  type OptionKind,
  type StateListener,
  throwIfAborted,
} from "@micro-es/runtime/driver";
import { ConsulLink } from "./link.ts";
import type { ConsulOptions } from "./options.ts";

/** The connection of a part: a shared one, or options for one of its own. */
export type ConsulPartOptions = ConsulOptions & {
  /** A connection shared with other parts; its creator closes it. */
  readonly link?: ConsulLink;
};

/** The prefix of a part's keys. Consul's keys begin without a slash. */
export const prefixKind: OptionKind = {
  words: 'names of visible ASCII with "/" between them, for example "micro/config"',
  accepts: (value) =>
    typeof value === "string" &&
    /^[!-~]{1,255}$/.test(value) &&
    value.split("/").every((name) => !/^\.{0,2}$/.test(name)),
};

/**
 * The common base of all parts on Consul: holds the connection, exposes its state as the
 * part's, and closes once.
 */
export abstract class ConsulPart extends Closable {
  protected readonly link: ConsulLink;
  readonly #ownsLink: boolean;
  readonly #what: string;

  /** @param what the part's name in a message, such as `sync`. */
  constructor({ link, ...options }: ConsulPartOptions, what: string) {
    super();
    this.#what = what;
    this.#ownsLink = link === undefined;
    this.link = link ?? new ConsulLink(options);
  }

  get state(): BackendState {
    return this.link.status.state;
  }

  onStateChange(listener: StateListener): () => void {
    return this.link.status.onStateChange(listener);
  }

  /** Ends what the part does on its connection, before the connection ends. */
  protected async end(): Promise<void> {}

  /**
   * @throws MicroError `unavailable` after {@link close}, or the signal's error once it has fired;
   * not executed.
   */
  protected check(what: string, signal?: AbortSignal): void {
    if (this.isClosing) throw this.closedError(what);
    throwIfAborted(signal);
  }

  protected closedError(what: string): MicroError {
    return new MicroError("unavailable", `cannot ${what}: the ${this.#what} is closed`, {
      outcome: "not-executed",
    });
  }

  protected override async closeOnce(): Promise<void> {
    await closeInOrder(
      () => this.end(),
      () => (this.#ownsLink ? this.link.close() : undefined),
    );
  }
}
