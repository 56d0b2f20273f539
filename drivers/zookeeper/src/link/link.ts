import { asMicroError, type BackendState, MicroError } from "@micro-es/runtime";
import {
  type BackendAddress,
  BackendStatus,
  type Backoff,
  backoffMs,
  Closable,
  checkOptions,
  pauseUntilAborted,
  sharedAbortController,
  throwIfAborted,
  untilAborted,
  waitUntilAborted,
} from "@micro-es/runtime/driver";
import type { Operation } from "../wire/operations.ts";
import { ClosedInHandshake, ZooKeeperConnection } from "./connection.ts";
import { unavailable, zooKeeperFailure } from "./failure.ts";
import {
  defaultSessionTimeoutMs,
  defaultStartTimeoutMs,
  defaultTimeoutMs,
  serversOf,
  type ZooKeeperOptions,
  zooKeeperKinds,
} from "./options.ts";
import { WatchTable } from "./watch-table.ts";

/** Waits between rounds over all servers. The smallest session is about 1 s. */
const backoff: Backoff = { firstMs: 100, factor: 2, mostMs: 1_000, jitter: 0.5 };

const longestRefusalMs = 1_000;

/** A session of the ensemble, which outlives its connections. */
export interface Session {
  readonly id: bigint;
  readonly password: Uint8Array;
}

const noSession: Session = { id: 0n, password: new Uint8Array(16) };

/**
 * Called after each connection, with whether its session is a new one, and for how long the server
 * had heard nothing before, in milliseconds.
 */
export type ReconnectListener = (isNewSession: boolean, gapMs: number) => void;

/**
 * The session with a ZooKeeper ensemble that the parts of a process share. It begins on first use,
 * which waits for an ensemble that is not up yet. It moves to another server when one fails, and
 * reconnects until it is closed. After its session has expired it begins another one.
 */
export class ZooKeeperLink extends Closable {
  readonly status: BackendStatus = new BackendStatus();
  readonly timeoutMs: number;
  /** The watches, which are set on every connection. */
  readonly watches: WatchTable = new WatchTable();
  readonly #options: ZooKeeperOptions;
  readonly #servers: readonly BackendAddress[];
  readonly #closing: AbortController = sharedAbortController();
  readonly #reconnectListeners = new Set<ReconnectListener>();
  /** The index of the server to try next. */
  #next: number;
  #session: Session = noSession;
  #sessionTimeoutMs: number;
  /** When the server last responded to something, by when that was sent. */
  #heardAt: number = Number.NEGATIVE_INFINITY;
  /** The largest transaction number of a response. */
  #zxid = 0n;
  /** Since when every server closes connections without a response. */
  #refusedSince: number = Number.POSITIVE_INFINITY;
  #connection: ZooKeeperConnection | undefined;
  #connecting: Promise<ZooKeeperConnection> | undefined;
  #reconnecting: Promise<void> | undefined;
  #failure: MicroError | undefined;
  /** Until when the first use waits; undefined before it. */
  #waitsUntil: number | undefined;

  constructor(options: ZooKeeperOptions = {}) {
    super();
    checkOptions("ZooKeeperLink", options, zooKeeperKinds);
    this.#options = options;
    this.#servers = serversOf(options);
    this.timeoutMs = options.timeoutMs ?? defaultTimeoutMs;
    this.#sessionTimeoutMs = options.sessionTimeoutMs ?? defaultSessionTimeoutMs;
    // Spreads the clients of an ensemble over its servers.
    this.#next = Math.floor(Math.random() * this.#servers.length);
  }

  get state(): BackendState {
    return this.status.state;
  }

  get closed(): boolean {
    return this.isClosing;
  }

  get connected(): boolean {
    return this.#connection?.isOpen === true;
  }

  /** The options that it was made with. */
  get options(): ZooKeeperOptions {
    return this.#options;
  }

  /** The session, whose password must not be shown. */
  get session(): Session {
    return this.#session;
  }

  /** The id of the session, which ephemeral znodes have as their owner; 0 before the first. */
  get sessionId(): bigint {
    return this.#session.id;
  }

  /** The granted timeout, or the one that will be asked for; in milliseconds. */
  get sessionTimeoutMs(): number {
    return this.#sessionTimeoutMs;
  }

  /** The timeout that every session is asked for, in milliseconds. */
  get askedSessionTimeoutMs(): number {
    return this.#options.sessionTimeoutMs ?? defaultSessionTimeoutMs;
  }

  /**
   * Until when the session is certain to last, on the clock of `performance.now()`. It ends there
   * if the ensemble heard nothing more of it.
   */
  get sessionLastsUntil(): number {
    return this.#session.id === 0n
      ? Number.NEGATIVE_INFINITY
      : this.#heardAt + this.#sessionTimeoutMs;
  }

  /** The addresses of the servers, for messages; without credentials. */
  get servers(): string {
    return this.#servers.map(({ text }) => text).join(", ");
  }

  /** Calls the listener after each connection, until the returned function is called. */
  onReconnect(listener: ReconnectListener): () => void {
    this.#reconnectListeners.add(listener);
    return () => this.#reconnectListeners.delete(listener);
  }

  /** Resolves when there is a connection, or when a signal fires. Never rejects. */
  async untilConnected(...signals: readonly (AbortSignal | undefined)[]): Promise<void> {
    if (this.connected) return;
    const all = [...signals, this.#closing.signal];
    await waitUntilAborted(all, (done) => this.onReconnect(() => done()));
  }

  /**
   * Waits for a connection. Until `startTimeoutMs` after the first call it waits for the ensemble
   * to come up. After that, or once there has been a connection, it fails immediately while there
   * is none.
   * @throws MicroError `unavailable`, or what ZooKeeper refuses the user with.
   */
  async open(signal?: AbortSignal): Promise<void> {
    await untilAborted(this.#current(), signal);
  }

  /**
   * Sends one operation. A read is sent again if its connection ends.
   * @param what the attempted operation, for messages: "register greeter-1".
   * @throws MicroError `unavailable`, `deadline_exceeded`, or the error of the response.
   */
  async call<T>(operation: Operation<T>, what: string, signal?: AbortSignal): Promise<T> {
    const [result] = await this.callAll([operation], what, signal);
    return result as T;
  }

  /**
   * Sends several operations on one connection, in their order. Otherwise as {@link call}: fails
   * with the first that fails, after all have a response.
   */
  async callAll<const T extends readonly Operation<unknown>[]>(
    operations: T,
    what: string,
    signal?: AbortSignal,
  ): Promise<{ readonly [K in keyof T]: T[K] extends Operation<infer R> ? R : never }> {
    try {
      return (await this.#attempt(operations, signal)) as never;
    } catch (error) {
      throw zooKeeperFailure(error, what);
    }
  }

  protected override async closeOnce(): Promise<void> {
    const reason = linkClosed();
    this.#closing.abort(reason);
    this.#reconnectListeners.clear();
    await this.#connecting?.catch(() => {});
    await this.#reconnecting;
    const connection = this.#connection;
    this.#connection = undefined;
    await connection?.endSession();
    connection?.close(reason);
  }

  async #attempt(
    operations: readonly Operation<unknown>[],
    signal: AbortSignal | undefined,
  ): Promise<readonly unknown[]> {
    const isRead = operations.every((operation) => operation.isRead);
    const aborted = (reason: unknown) => {
      const { code, message } = asMicroError(reason, "canceled");
      return new MicroError(code, message, { outcome: isRead ? "not-executed" : "unknown" });
    };
    let ends: number | undefined;
    for (;;) {
      const connection = await untilAborted(this.#current(), signal);
      throwIfAborted(signal);
      ends ??= performance.now() + this.timeoutMs;
      try {
        const sent = operations.map((operation) => connection.send(operation));
        const settled = await untilAborted(Promise.allSettled(sent), signal, {
          error: aborted,
        });
        return settled.map((result) => {
          if (result.status === "rejected") throw result.reason;
          return result.value;
        });
      } catch (error) {
        if (!isRead || connection.isOpen || signal?.aborted === true) throw error;
        const leftMs = ends - performance.now();
        if (leftMs <= 0 || this.#closing.signal.aborted) throw error;
        const limit = new AbortController();
        const timer = setTimeout(() => limit.abort(), leftMs);
        await this.untilConnected(signal, limit.signal);
        clearTimeout(timer);
        throwIfAborted(signal);
        if (!this.connected) throw error;
      }
    }
  }

  async #current(): Promise<ZooKeeperConnection> {
    if (this.#closing.signal.aborted) throw linkClosed();
    if (this.#connection?.isOpen === true) return this.#connection;
    // While it is lost, what needs it fails, unless it is the first use.
    if (this.#reconnecting !== undefined) throw this.#failure ?? linkClosed();
    this.#waitsUntil ??=
      performance.now() + (this.#options.startTimeoutMs ?? defaultStartTimeoutMs);
    this.#connecting ??= this.#connect().finally(() => {
      this.#connecting = undefined;
    });
    return this.#connecting;
  }

  /** Connects for the first time. */
  async #connect(): Promise<ZooKeeperConnection> {
    const { signal } = this.#closing;
    for (let failures = 1; ; failures++) {
      try {
        return await this.#connectOnce();
      } catch (error) {
        const failure = zooKeeperFailure(error, `connect to ZooKeeper at ${this.servers}`);
        this.#report(failure);
        const waitMs = backoffMs(backoff, failures, Math.random);
        const leftMs = (this.#waitsUntil ?? 0) - performance.now();
        if (leftMs < waitMs || signal.aborted) {
          this.#reconnectSoon();
          throw failure;
        }
        await pauseUntilAborted(waitMs, signal);
        throwIfAborted(signal);
      }
    }
  }

  /** Tries every server once, beginning with the next one. */
  async #connectOnce(): Promise<ZooKeeperConnection> {
    let failure: unknown;
    let refusals = 0;
    for (let tried = 0; tried < this.#servers.length; tried++) {
      throwIfAborted(this.#closing.signal);
      try {
        return await this.#dial(this.#servers[this.#next] as BackendAddress);
      } catch (error) {
        failure = error;
        if (asMicroError(error).cause instanceof ClosedInHandshake) refusals++;
        this.#next = (this.#next + 1) % this.#servers.length;
      }
    }
    this.#forgetIfRefused(refusals === this.#servers.length);
    throw failure;
  }

  /** Attaches to the session at a server; begins another one where it has expired. */
  async #dial(address: BackendAddress): Promise<ZooKeeperConnection> {
    const { signal } = this.#closing;
    const { user, password, tls } = this.#options;
    const credential = user === undefined ? undefined : `${user}:${password}`;
    for (;;) {
      const session = this.#session;
      const asked = performance.now();
      const connection = await ZooKeeperConnection.open(
        address,
        {
          tls,
          timeoutMs: this.timeoutMs,
          // A server that is starting may take a connection and never respond on it.
          handshakeMs: Math.min(this.timeoutMs, Math.max(this.askedSessionTimeoutMs / 3, 1_000)),
          session: {
            lastZxid: this.#zxid,
            timeoutMs: this.askedSessionTimeoutMs,
            sessionId: session.id,
            password: session.password,
          },
        },
        signal,
      );
      const { granted, server } = connection;
      if (granted.timeoutMs > 0 && !signal.aborted) {
        const gapMs = asked - this.#heardAt;
        this.#heardAt = asked;
        this.#adopt(connection, credential, gapMs);
        return connection;
      }
      connection.close(linkClosed());
      throwIfAborted(signal);
      if (session.id === 0n) {
        throw unavailable(`${server} granted no session`, false);
      }
      this.#session = noSession;
    }
  }

  #adopt(connection: ZooKeeperConnection, credential: string | undefined, gapMs: number): void {
    const { sessionId, password, timeoutMs } = connection.granted;
    // Some servers respond with a new session where they do not know the one that is asked for.
    const isNew = sessionId !== this.#session.id;
    this.#session = { id: sessionId, password };
    this.#sessionTimeoutMs = timeoutMs;
    this.#connection = connection;
    this.#failure = undefined;
    this.#refusedSince = Number.POSITIVE_INFINITY;
    connection.follow(
      {
        event: (event) => this.watches.dispatch(event),
        heard: (sentAt, zxid) => {
          this.#heardAt = Math.max(this.#heardAt, sentAt);
          if (zxid > this.#zxid) this.#zxid = zxid;
        },
        lost: (reason) => this.#lose(connection, reason),
      },
      credential,
    );
    this.watches.restore(connection, this.#zxid);
    this.status.set("healthy");
    for (const listener of [...this.#reconnectListeners]) listener(isNew, gapMs);
  }

  /**
   * An ensemble that lost its data refuses everyone who has seen later transactions, as long as
   * they say so. A server that is starting refuses everyone for a moment.
   */
  #forgetIfRefused(isRefused: boolean): void {
    const now = performance.now();
    this.#refusedSince = isRefused ? Math.min(this.#refusedSince, now) : Number.POSITIVE_INFINITY;
    if (now - this.#refusedSince < longestRefusalMs || now < this.sessionLastsUntil) return;
    this.#session = noSession;
    this.#zxid = 0n;
  }

  #lose(connection: ZooKeeperConnection, reason: MicroError): void {
    if (this.#connection !== connection) return;
    this.#connection = undefined;
    this.watches.lost();
    this.#next = (this.#next + 1) % this.#servers.length;
    if (this.#closing.signal.aborted) return;
    this.#report(zooKeeperFailure(reason, "use ZooKeeper"));
    this.#reconnectSoon();
  }

  #reconnectSoon(): void {
    if (this.#closing.signal.aborted) return;
    this.#reconnecting ??= this.#reconnect().finally(() => {
      this.#reconnecting = undefined;
      // It may have ended again meanwhile.
      if (!this.connected) this.#reconnectSoon();
    });
  }

  async #reconnect(): Promise<void> {
    const { signal } = this.#closing;
    for (let failures = 1; !signal.aborted && !this.connected; failures++) {
      // The first wait is short: another server may be available. It is random because all clients
      // of a server that died reconnect at once.
      await pauseUntilAborted(
        failures === 1 ? Math.random() * 100 : backoffMs(backoff, failures, Math.random),
        signal,
      );
      if (signal.aborted) return;
      try {
        await this.#connectOnce();
      } catch (error) {
        this.#report(zooKeeperFailure(error, `connect to ZooKeeper at ${this.servers}`));
      }
    }
  }

  #report(failure: MicroError): void {
    if (this.#closing.signal.aborted) return;
    // Calls that fail with it meanwhile were not sent.
    this.#failure = new MicroError(
      failure.code === "unauthenticated" ? failure.code : "unavailable",
      failure.message,
      { outcome: "not-executed", cause: failure },
    );
    if (this.status.state === "lost") this.status.explain(failure);
    else this.status.set("lost", failure);
  }
}

function linkClosed(): MicroError {
  return new MicroError("unavailable", "cannot use ZooKeeper: the connection is closed", {
    outcome: "not-executed",
  });
}
