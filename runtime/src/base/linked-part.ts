import { throwIfAborted } from "./abort.ts";
import type { BackendState, BackendStatus, StateListener } from "./backend-state.ts";
import { Closable } from "./closable.ts";
import { MicroError } from "./error.ts";
import { closeInOrder } from "./settle-all.ts";

/** A part that refuses operations once it is closed. */
export abstract class ClosablePart extends Closable {
  readonly #what: string;

  /** @param what the part's name in a message, such as `store`. */
  constructor(what: string) {
    super();
    this.#what = what;
  }

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
}

/** A driver's connection to its backend, which several parts may share. */
export interface BackendLink {
  readonly status: BackendStatus;
  readonly connected: boolean;
  readonly closed: boolean;
  /** Resolves when the backend was reached once; see the rules of drivers for its limits. */
  open(): Promise<unknown>;
  /** Calls the listener after each reconnection, until the returned function is called. */
  onReconnect(listener: () => void): () => void;
  close(): Promise<void>;
}

/**
 * The base of all parts of a driver: holds the connection, exposes its state as the part's, and
 * closes once. A connection shared with other parts stays open.
 */
export abstract class LinkedPart<Link extends BackendLink> extends ClosablePart {
  readonly link: Link;
  readonly #ownsLink: boolean;

  /**
   * @param shared a connection that its creator closes; without it the part connects by itself.
   * @param what the part's name in a message, such as `store`.
   */
  constructor(shared: Link | undefined, connect: () => Link, what: string) {
    super(what);
    this.#ownsLink = shared === undefined;
    this.link = shared ?? connect();
  }

  get state(): BackendState {
    return this.link.status.state;
  }

  onStateChange(listener: StateListener): () => void {
    return this.link.status.onStateChange(listener);
  }

  /** Ends what the part does on its connection, before the connection ends. */
  protected async end(): Promise<void> {}

  /** Ends what is kept for the part on its connection, and the connection if it is its own. */
  protected async closeLink(): Promise<void> {
    if (this.#ownsLink) await this.link.close();
  }

  protected override async closeOnce(): Promise<void> {
    await closeInOrder(
      () => this.end(),
      () => this.closeLink(),
    );
  }
}
