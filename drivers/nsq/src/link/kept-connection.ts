import { MicroError } from "@micro-es/runtime";
import type { BackendAddress, Backoff } from "@micro-es/runtime/driver";
import {
  backoffMs,
  Closable,
  pauseUntilAborted,
  sharedAbortController,
} from "@micro-es/runtime/driver";
import type { NsqConnection } from "./connection.ts";
import { isRefused, nsqFailure, unavailable } from "./failure.ts";

/** Waits between attempts to connect. */
const backoff: Backoff = { firstMs: 100, factor: 2, mostMs: 1_000, jitter: 0.5 };

/** What a kept connection needs of its owner. */
export interface ConnectionOwner {
  readonly address: BackendAddress;
  /** Connects, and makes the connection ready for use. */
  dial(signal: AbortSignal): Promise<NsqConnection>;
  /** The connection was made, or lost, or could not be made. */
  changed(): void;
}

/** A connection to one server, which is made again whenever it is lost, until it is closed. */
export class KeptConnection extends Closable {
  readonly #owner: ConnectionOwner;
  readonly #closing: AbortController = sharedAbortController();
  readonly #listeners = new Set<() => void>();
  #connection: NsqConnection | undefined;
  #failure: MicroError | undefined;
  #keeping: Promise<void> | undefined;

  constructor(owner: ConnectionOwner) {
    super();
    this.#owner = owner;
  }

  get address(): BackendAddress {
    return this.#owner.address;
  }

  /** The connection if there is one right now. */
  get connection(): NsqConnection | undefined {
    return this.#connection?.isOpen === true ? this.#connection : undefined;
  }

  /** Why there is none; undefined before the first attempt. */
  get failure(): MicroError | undefined {
    return this.#failure;
  }

  /** Calls the listener after each attempt to connect, until the returned function is called. */
  onAttempt(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Begins to connect. */
  begin(): void {
    if (!this.isClosing) this.#keeping ??= this.#keep();
  }

  protected override async closeOnce(): Promise<void> {
    this.#closing.abort(connectionClosed());
    await this.#connection?.end();
    await this.#keeping;
  }

  async #keep(): Promise<void> {
    const { signal } = this.#closing;
    for (let failures = 0; !signal.aborted; ) {
      try {
        const connection = await this.#owner.dial(signal);
        if (signal.aborted) {
          await connection.end();
          return;
        }
        failures = 0;
        this.#connection = connection;
        const lost = new Promise<Error>((resolve) => connection.onClose(resolve));
        this.#report(undefined);
        const reason = await lost;
        this.#connection = undefined;
        if (signal.aborted) return;
        this.#report(
          unavailable(
            `the connection to nsqd at ${this.address.text} is lost: ${reason.message}`,
            "not-executed",
            reason,
          ),
        );
        // All clients of a server that died connect again at once, so the wait is random.
        await pauseUntilAborted(Math.random() * backoff.firstMs, signal);
      } catch (error) {
        if (signal.aborted) return;
        this.#report(nsqFailure(error, `connect to nsqd at ${this.address.text}`));
        await pauseUntilAborted(backoffMs(backoff, ++failures, Math.random), signal);
      }
    }
  }

  /** An operation that fails with it later was not sent. */
  #report(failure: MicroError | undefined): void {
    this.#failure =
      failure === undefined
        ? undefined
        : new MicroError(isRefused(failure) ? failure.code : "unavailable", failure.message, {
            outcome: "not-executed",
            cause: failure.cause ?? failure,
          });
    this.#owner.changed();
    for (const listener of [...this.#listeners]) listener();
  }
}

function connectionClosed(): MicroError {
  return unavailable("cannot use NSQ: the connection is closed");
}
