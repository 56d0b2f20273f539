import { MicroError } from "@micro-es/runtime";
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
} from "@micro-es/runtime/driver";
import { isConflict, isNotUpYet, postgresFailure } from "./failure.ts";
import { Listeners } from "./listeners.ts";
import {
  addressesOf,
  defaultMaxConnections,
  defaultSchema,
  defaultStartTimeoutMs,
  defaultTimeoutMs,
  type PostgresOptions,
  postgresKinds,
} from "./options.ts";
import { SessionPool } from "./pool.ts";
import { type Query, type Row, Session, type Value } from "./session.ts";

/** Waits between rounds over all servers. */
const backoff: Backoff = { firstMs: 100, factor: 2, mostMs: 1_000, jitter: 0.5 };
/** How often the connection that listens is probed, in milliseconds. */
const heartbeatMs = 2_000;
/** How often a statement is repeated that was rolled back for the sake of another one. */
const maxConflicts = 10;

/**
 * The connections to a PostgreSQL server that the parts of a process share: one that listens, whose
 * state is that of the parts, and a few for statements. They open on first use, which waits for a
 * server that is not up yet. Lost ones are replaced until the link is closed.
 */
export class PostgresLink extends Closable {
  readonly status: BackendStatus = new BackendStatus();
  readonly timeoutMs: number;
  /** The schema of all tables. */
  readonly schema: string;
  readonly #options: PostgresOptions;
  readonly #addresses: readonly BackendAddress[];
  readonly #pool: SessionPool;
  readonly #listeners = new Listeners();
  readonly #closing: AbortController = sharedAbortController();
  readonly #reconnected = new Set<() => void>();
  /** Sessions that one part uses alone. */
  readonly #own = new Set<Session>();
  /** The index of the server to try first: the one that accepted writes last. */
  #first = 0;
  #main: Session | undefined;
  #opening: Promise<void> | undefined;
  #reconnecting: Promise<void> | undefined;
  /** The first attempt to replace a lost connection, for which operations wait. */
  #replacing: Promise<void> | undefined;
  #waitsUntil: number | undefined;

  constructor(options: PostgresOptions = {}) {
    super();
    checkOptions("PostgresLink", options, postgresKinds);
    this.#options = options;
    this.#addresses = addressesOf(options);
    this.timeoutMs = options.timeoutMs ?? defaultTimeoutMs;
    this.schema = options.schema ?? defaultSchema;
    this.#pool = new SessionPool(
      () => this.#connect(this.#current()),
      options.maxConnections ?? defaultMaxConnections,
      this.timeoutMs,
    );
  }

  get closed(): boolean {
    return this.isClosing;
  }

  /** Whether there is a connection right now. */
  get connected(): boolean {
    return this.#main?.isOpen === true;
  }

  /** Whether a pooler stands between, so that notifications do not arrive. */
  get isPooled(): boolean {
    return this.#main?.isPooled === true;
  }

  /** Calls the listener after each reconnection, until the returned function is called. */
  onReconnect(listener: () => void): () => void {
    this.#reconnected.add(listener);
    return () => this.#reconnected.delete(listener);
  }

  /**
   * Waits for a connection. Until `startTimeoutMs` after the first call it waits for the server to
   * come up. After that, or once there has been a connection, it fails immediately while there is
   * none.
   * @throws MicroError `unavailable`; `unauthenticated` if the server rejects user and password;
   * `failed_precondition` if the database does not exist, or the server is too old.
   */
  async open(signal?: AbortSignal): Promise<void> {
    if (this.isClosing) throw linkClosed();
    this.#opening ??= this.#open();
    await untilAborted(this.#opening, signal);
  }

  /**
   * Runs one statement in a transaction of its own.
   * @param what the attempted operation, for messages: "read store key".
   * @throws MicroError `unavailable`, `deadline_exceeded`, or PostgreSQL's own error.
   */
  query(
    text: string,
    values: readonly Value[],
    what: string,
    signal?: AbortSignal,
  ): Promise<readonly Row[]> {
    return this.#attempt(what, signal, (session) => session.query(text, values));
  }

  /**
   * Runs statements in one transaction, which is rolled back if the work rejects. The work may run
   * again, after a conflict with another transaction. It must use the given query alone: a second
   * connection may not be free.
   * @throws MicroError as {@link query}.
   */
  transaction<T>(
    what: string,
    work: (query: Query) => Promise<T>,
    begin = "begin",
    signal?: AbortSignal,
  ): Promise<T> {
    return this.#attempt(what, signal, (session) => inTransaction(session, work, begin));
  }

  /**
   * Calls the listener with each notification on a channel, and without a payload when some may
   * have been missed, until the returned function is called.
   */
  listen(channel: string, listener: (payload: string | undefined) => void): () => void {
    const isFirst = this.#listeners.add(channel, listener);
    if (isFirst) void this.#listenTo(this.#main, [channel]);
    return () => {
      if (this.#listeners.delete(channel, listener)) this.#unlisten(channel);
    };
  }

  /** Wakes those who listen on a channel. Losing it does no harm: they also poll. */
  async notify(channel: string, payload: string): Promise<void> {
    const text = "select pg_notify($1, $2)";
    await this.#main?.query(text, [channel, payload]).catch(() => {});
  }

  /** A connection that one part uses alone, and closes. */
  async session(what: string, signal?: AbortSignal): Promise<Session> {
    await this.#untilConnected(what, signal);
    const session = await this.#connect(this.#current());
    if (this.isClosing) {
      session.destroy();
      throw linkClosed();
    }
    this.#own.add(session);
    session.onEnd(() => this.#own.delete(session));
    return session;
  }

  protected override async closeOnce(): Promise<void> {
    this.#closing.abort(linkClosed());
    this.#reconnected.clear();
    await this.#opening?.catch(() => {});
    await this.#reconnecting;
    const sessions = [...this.#own, ...(this.#main === undefined ? [] : [this.#main])];
    await Promise.all([this.#pool.close(), ...sessions.map((session) => session.close())]);
  }

  async #attempt<T>(
    what: string,
    signal: AbortSignal | undefined,
    work: (session: Session) => Promise<T>,
  ): Promise<T> {
    for (let conflicts = 0; ; conflicts++) {
      throwIfAborted(signal);
      await this.#untilConnected(what, signal);
      try {
        return await this.#pool.run(work, signal);
      } catch (error) {
        if (isConflict(error) && conflicts < maxConflicts) continue;
        throw postgresFailure(error, what);
      }
    }
  }

  async #untilConnected(what: string, signal: AbortSignal | undefined): Promise<void> {
    if (this.isClosing) throw linkClosed();
    if (this.connected) return;
    await this.open(signal);
    if (this.#replacing !== undefined) await untilAborted(this.#replacing, signal);
    if (this.isClosing) throw linkClosed();
    if (this.connected) return;
    throw new MicroError(
      "unavailable",
      `cannot ${what}: the connection to PostgreSQL is lost and being made again`,
      { outcome: "not-executed", retryAfterMs: 100 },
    );
  }

  async #open(): Promise<void> {
    const { startTimeoutMs = defaultStartTimeoutMs } = this.#options;
    this.#waitsUntil ??= performance.now() + startTimeoutMs;
    for (let failures = 1; ; failures++) {
      try {
        this.#use(await this.#connectToAny());
        return;
      } catch (error) {
        const failure = postgresFailure(error, "connect to PostgreSQL");
        const leftMs = this.#waitsUntil - performance.now();
        const waitMs = backoffMs(backoff, failures, Math.random);
        if (this.isClosing || !isNotUpYet(failure) || leftMs < waitMs) {
          this.#opening = undefined;
          this.#report(failure);
          throw failure;
        }
        const seconds = Math.ceil(leftMs / 1_000);
        const message = `${failure.message}; trying again for ${seconds} s`;
        const options = { outcome: "not-executed", cause: failure } as const;
        this.#report(new MicroError("unavailable", message, options));
        await pauseKept(waitMs, this.#closing.signal);
      }
    }
  }

  /**
   * The first failure is reported as the change of state, with how long connecting is attempted.
   * The last one reports that the attempts have ended.
   */
  #report(failure: MicroError): void {
    if (this.status.state === "healthy") this.status.set("lost", failure);
    else if (this.#opening === undefined) this.status.explain(failure);
  }

  #connect(address: BackendAddress): Promise<Session> {
    if (this.isClosing) return Promise.reject(linkClosed());
    return Session.connect(address, {
      options: this.#options,
      timeoutMs: this.timeoutMs,
      signal: this.#closing.signal,
    });
  }

  /** @throws MicroError the error of the first server, if none accepts writes. */
  async #connectToAny(): Promise<Session> {
    let first: unknown;
    for (let turn = 0; turn < this.#addresses.length; turn++) {
      try {
        const session = await this.#connect(this.#current());
        if (!this.isClosing) return session;
        session.destroy();
        throw linkClosed();
      } catch (error) {
        first ??= error;
        if (this.isClosing) throw error;
        this.#first = (this.#first + 1) % this.#addresses.length;
      }
    }
    throw first;
  }

  #current(): BackendAddress {
    return this.#addresses[this.#first] as BackendAddress;
  }

  /** Makes a session the one that listens. */
  #use(session: Session): void {
    this.#main = session;
    const heartbeat = setInterval(() => {
      // One that is silent is abandoned.
      session.query("select 1", [], 2 * heartbeatMs).catch(() => {});
    }, heartbeatMs);
    heartbeat.unref();
    session.onNotification((channel, payload) => this.#listeners.call(channel, payload));
    session.onEnd(() => {
      clearInterval(heartbeat);
      if (this.isClosing) return;
      this.#reconnecting = this.#reconnect();
    });
    void this.#listenTo(session, this.#listeners.channels);
    this.status.set("healthy");
  }

  async #reconnect(): Promise<void> {
    // The others may be connections to the same server that is gone.
    this.#pool.clear();
    for (let failures = 0; !this.isClosing; failures++) {
      const attempt = this.#connectToAny();
      if (failures === 0) this.#replacing = attempt.then(() => {}).catch(() => {});
      try {
        const session = await attempt;
        this.#replacing = undefined;
        this.#use(session);
        for (const listener of this.#reconnected) listener();
        return;
      } catch (error) {
        this.#replacing = undefined;
        if (this.isClosing) return;
        this.status.set("lost", postgresFailure(error, "connect to PostgreSQL"));
      }
      await pauseKept(backoffMs(backoff, failures + 1, Math.random), this.#closing.signal);
    }
  }

  async #listenTo(session: Session | undefined, channels: readonly string[]): Promise<void> {
    if (session === undefined || session.isPooled || channels.length === 0) return;
    try {
      await session.query(channels.map((name) => `listen "${name}"`).join(";"));
      // Notifications sent before it listened were missed.
      for (const name of channels) this.#listeners.call(name, undefined);
    } catch {
      // It is lost, and the next one listens. Parts that listen also poll.
      session.destroy();
    }
  }

  #unlisten(channel: string): void {
    if (this.#main?.isPooled === false) {
      this.#main.query(`unlisten "${channel}"`).catch(() => {});
    }
  }
}

async function inTransaction<T>(
  session: Session,
  work: (query: Query) => Promise<T>,
  begin: string,
): Promise<T> {
  await session.query(begin);
  try {
    const result = await work((text, values) => session.query(text, values));
    await session.query("commit");
    return result;
  } catch (error) {
    // A session that cannot roll back must not serve another caller.
    await session.query("rollback").catch(() => session.destroy());
    throw error;
  }
}

/** Pauses, and keeps the process running meanwhile: someone waits for the connection. */
async function pauseKept(ms: number, signal: AbortSignal): Promise<void> {
  const keep = setInterval(() => {}, ms + 1_000);
  try {
    await pauseUntilAborted(ms, signal);
  } finally {
    clearInterval(keep);
  }
}

function linkClosed(): MicroError {
  return new MicroError("unavailable", "cannot use PostgreSQL: the connection is closed", {
    outcome: "not-executed",
  });
}
