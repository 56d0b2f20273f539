import { type BackendState, MicroError } from "@micro-es/runtime";
import {
  Closable,
  closeInOrder,
  type OptionKind,
  type StateListener,
  throwIfAborted,
} from "@micro-es/runtime/driver";
import { EtcdLink } from "./link.ts";
import type { EtcdOptions } from "./options.ts";
import { EtcdWatches } from "./watches.ts";

/** The connection of a part: a shared one, or options for one of its own. */
export type EtcdPartOptions = EtcdOptions & {
  /** A connection shared with other parts; its creator closes it. */
  readonly link?: EtcdLink;
};

/** The prefix of a part's keys. */
export const prefixKind: OptionKind = {
  words: 'visible ASCII without a "/" at its end, for example "/micro/registry"',
  accepts: (value) => typeof value === "string" && /^[!-~]{0,254}[!-.0-~]$/.test(value),
};

/**
 * The common base of all parts on etcd: holds the connection and the watches, exposes the
 * connection's state as the part's, and closes once.
 */
export abstract class EtcdPart extends Closable {
  protected readonly link: EtcdLink;
  protected readonly watches: EtcdWatches;
  readonly #ownsLink: boolean;
  readonly #what: string;

  /** @param what the part's name in a message, such as `store`. */
  constructor({ link, ...options }: EtcdPartOptions, what: string) {
    super();
    this.#what = what;
    this.#ownsLink = link === undefined;
    this.link = link ?? new EtcdLink(options);
    this.watches = new EtcdWatches(this.link);
  }

  get state(): BackendState {
    return this.link.status.state;
  }

  onStateChange(listener: StateListener): () => void {
    return this.link.status.onStateChange(listener);
  }

  /** Ends what the part does on its connection, before its watches and the connection end. */
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
      () => this.watches.close(),
      () => (this.#ownsLink ? this.link.close() : undefined),
    );
  }
}
