import type { MicroError } from "@micro-es/runtime";
import {
  type BackendAddress,
  BackendStatus,
  Closable,
  checkOptions,
  sharedAbortController,
  waitUntilAborted,
} from "@micro-es/runtime/driver";
import { NsqConnection } from "./connection.ts";
import { isRefused, unavailable } from "./failure.ts";
import { KeptConnection } from "./kept-connection.ts";
import {
  addressesOf,
  defaultStartTimeoutMs,
  defaultTimeoutMs,
  type NsqOptions,
  nsqKinds,
} from "./options.ts";

/** nsqd delivers to publishing connections nothing; its own default applies, in milliseconds. */
const anyMessageTimeoutMs = 0;

/**
 * The connections to the nsqd servers that the parts of a process share: one to publish on to each
 * server. They open on first use, which waits for a server that is not up yet, and are then
 * restored without limit. Its creator closes it.
 */
export class NsqLink extends Closable {
  readonly status: BackendStatus = new BackendStatus();
  readonly timeoutMs: number;
  readonly addresses: readonly BackendAddress[];
  readonly #options: NsqOptions;
  readonly #closing: AbortController = sharedAbortController();
  readonly #publishing: readonly KeptConnection[];
  /** The connections of subscriptions. */
  readonly #others = new Set<KeptConnection>();
  readonly #reconnectListeners = new Set<() => void>();
  /** Until when the first use waits; undefined before it. */
  #waitsUntil: number | undefined;
  #hasConnected = false;
  #told: MicroError | undefined;
  #turn = 0;

  /** @throws MicroError `invalid_argument` for invalid options. */
  constructor(options: NsqOptions = {}) {
    super();
    checkOptions("NsqLink", options, nsqKinds);
    this.#options = options;
    this.timeoutMs = options.timeoutMs ?? defaultTimeoutMs;
    this.addresses = addressesOf(options);
    this.#publishing = this.addresses.map((address) => {
      const dial = (signal: AbortSignal) => this.dial(address, anyMessageTimeoutMs, 0, signal);
      return new KeptConnection({ address, dial, changed: () => this.#changed() });
    });
  }

  get closed(): boolean {
    return this.isClosing;
  }

  get connected(): boolean {
    return this.#publishing.some(({ connection }) => connection !== undefined);
  }

  /** The addresses of the servers, for messages; without credentials. */
  get servers(): string {
    return this.addresses.map(({ text }) => text).join(", ");
  }

  /**
   * Waits for a connection to one of the servers. Until `startTimeoutMs` after the first call it
   * waits for a server to come up. After that, or once there has been a connection, it fails
   * immediately while there is none.
   * @throws MicroError `unavailable`; `unauthenticated`; `failed_precondition` for a server without
   * TLS.
   */
  async open(): Promise<void> {
    if (this.isClosing) throw linkClosed();
    if (this.connected) return;
    const { startTimeoutMs = defaultStartTimeoutMs } = this.#options;
    this.#waitsUntil ??= performance.now() + startTimeoutMs;
    for (const each of this.#publishing) each.begin();
    const isHopeless = () => this.#publishing.every((each) => isTried(each) && refuses(each));
    await this.#untilTried(() => this.#publishing.some(isTried));
    if (!this.#hasConnected) {
      await this.#untilTried(() => this.connected || isHopeless(), this.#waitsUntil);
    }
    if (this.isClosing) throw linkClosed();
    if (this.connected) return;
    const [failure] = this.#publishing.flatMap((each) => each.failure ?? []);
    throw failure ?? unavailable(`cannot connect to nsqd at ${this.servers}: no response yet`);
  }

  /**
   * A connection to publish on, to each server in turn.
   * @throws MicroError as {@link open}.
   */
  async publisher(): Promise<NsqConnection> {
    return this.livePublisher ?? (await this.open().then(() => this.#live()));
  }

  /** A connection to publish on, if there is one right now. */
  get livePublisher(): NsqConnection | undefined {
    if (this.isClosing) return undefined;
    for (let tried = 0; tried < this.#publishing.length; tried++) {
      this.#turn = (this.#turn + 1) % this.#publishing.length;
      const connection = this.#publishing[this.#turn]?.connection;
      if (connection !== undefined) return connection;
    }
    return undefined;
  }

  /** Connects to a server once. */
  dial(
    address: BackendAddress,
    messageTimeoutMs: number,
    maxMessageBytes: number,
    signal: AbortSignal,
  ): Promise<NsqConnection> {
    const { tls, secret, name = "micro" } = this.#options;
    const { timeoutMs } = this;
    const settings = { tls, secret, name, timeoutMs, messageTimeoutMs, maxMessageBytes };
    return NsqConnection.open(address, settings, signal);
  }

  /** Shows the state of this connection as the link's, until it is closed. */
  keep(
    address: BackendAddress,
    dial: (signal: AbortSignal) => Promise<NsqConnection>,
  ): KeptConnection {
    const kept = new KeptConnection({ address, dial, changed: () => this.#changed() });
    this.#others.add(kept);
    return kept;
  }

  async drop(kept: KeptConnection): Promise<void> {
    await kept.close();
    this.#others.delete(kept);
    this.#changed();
  }

  /** Calls the listener after each reconnection, until the returned function is called. */
  onReconnect(listener: () => void): () => void {
    this.#reconnectListeners.add(listener);
    return () => this.#reconnectListeners.delete(listener);
  }

  protected override async closeOnce(): Promise<void> {
    this.#closing.abort(linkClosed());
    this.#reconnectListeners.clear();
    await Promise.all([...this.#publishing, ...this.#others].map((each) => each.close()));
  }

  #live(): NsqConnection {
    const connection = this.livePublisher;
    if (connection === undefined) throw linkClosed();
    return connection;
  }

  /** Resolves when the condition holds after an attempt, or at the time, or when it closes. */
  async #untilTried(condition: () => boolean, until?: number): Promise<void> {
    if (condition()) return;
    await waitUntilAborted(this.#closing.signal, (done) => {
      const check = () => {
        if (condition()) done();
      };
      const stops = this.#publishing.map((each) => each.onAttempt(check));
      const timer =
        until === undefined ? undefined : setTimeout(done, Math.max(1, until - performance.now()));
      return () => {
        clearTimeout(timer);
        for (const stop of stops) stop();
      };
    });
  }

  #changed(): void {
    if (this.isClosing) return;
    const failures = [...this.#publishing, ...this.#others].flatMap(({ failure }) => failure ?? []);
    const [reason] = failures;
    const isLost = this.#publishing.every(({ failure }) => failure !== undefined);
    const before = this.status.state;
    const state = isLost ? "lost" : reason !== undefined ? "degraded" : "healthy";
    const wasLost = before === "lost" && !isLost;
    if (state !== before) this.status.set(state, reason);
    else if (reason !== undefined && reason.message !== this.#told?.message) {
      this.status.explain(reason);
    }
    this.#told = reason;
    if (this.connected) this.#hasConnected = true;
    if (wasLost) for (const listener of [...this.#reconnectListeners]) listener();
  }
}

/** Whether there was an attempt to connect. */
function isTried({ connection, failure }: KeptConnection): boolean {
  return connection !== undefined || failure !== undefined;
}

/** Whether the server refuses this client, whenever it tries. */
function refuses({ failure }: KeptConnection): boolean {
  return failure !== undefined && isRefused(failure);
}

function linkClosed(): MicroError {
  return unavailable("cannot use NSQ: the connection is closed");
}
