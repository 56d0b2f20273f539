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
} from "@micro-es/runtime/driver";
import { type Argument, RedisConnection, type Reply } from "./connection.ts";
import { NotSent, redisFailure, refusalOf } from "./failure.ts";
import { RedisFeed } from "./feed.ts";
import { greet } from "./greeting.ts";
import {
  addressesOf,
  defaultStartTimeoutMs,
  defaultTimeoutMs,
  type RedisDurability,
  type RedisOptions,
  redisKinds,
} from "./options.ts";
import type { Script } from "./script.ts";

/** Waits between rounds over all servers. */
const backoff: Backoff = { firstMs: 100, factor: 2, mostMs: 1_000, jitter: 0.5 };

/**
 * The connection to a Redis or Valkey server that the parts of a process share. It opens on first
 * use, which waits for a server that is not up yet, and is then restored without limit. Of several
 * servers, it is to the one that is the primary. Its creator closes it.
 *
 * A command is sent at most once: one whose connection is lost before its response fails, with an
 * unknown outcome.
 */
export class RedisLink extends Closable {
  readonly status: BackendStatus = new BackendStatus();
  readonly timeoutMs: number;
  /** The option of that name, which each server is held to. */
  readonly durability: RedisDurability;
  /** The channels that parts follow. */
  readonly feed: RedisFeed;
  readonly #options: RedisOptions;
  readonly #servers: readonly BackendAddress[];
  readonly #closing: AbortController = sharedAbortController();
  readonly #reconnectListeners = new Set<() => void>();
  readonly #others = new Set<RedisConnection>();
  #connection: RedisConnection | undefined;
  #connecting: Promise<RedisConnection> | undefined;
  #restoring: Promise<void> | undefined;
  #failure: MicroError | undefined;
  /** Until when the first use waits; undefined before it. */
  #waitsUntil: number | undefined;
  /** The index of the server that is tried first. */
  #first = 0;

  /** @throws MicroError `invalid_argument` for invalid options. */
  constructor(options: RedisOptions = {}) {
    super();
    checkOptions("RedisLink", options, redisKinds);
    this.#options = options;
    this.#servers = addressesOf(options);
    this.timeoutMs = options.timeoutMs ?? defaultTimeoutMs;
    this.durability = options.durability ?? "none";
    this.feed = new RedisFeed(this);
  }

  get closed(): boolean {
    return this.isClosing;
  }

  get connected(): boolean {
    return this.#connection?.isOpen === true;
  }

  /** The addresses of the servers, for messages; without credentials. */
  get servers(): string {
    return this.#servers.map(({ text }) => text).join(", ");
  }

  /**
   * Waits for a connection. Until `startTimeoutMs` after the first call it waits for a server to
   * come up. After that, or once there has been a connection, it fails immediately while there is
   * none.
   * @throws MicroError `unavailable`; `unauthenticated`; `failed_precondition` for a server that
   * guarantees less than {@link durability}, or that evicts keys.
   */
  async open(): Promise<void> {
    await this.#current();
  }

  /** Calls the listener after each reconnection, until the returned function is called. */
  onReconnect(listener: () => void): () => void {
    this.#reconnectListeners.add(listener);
    return () => this.#reconnectListeners.delete(listener);
  }

  /**
   * Sends a command.
   * @param what the attempted operation, for messages: "read store key".
   * @throws MicroError that says whether it may have been executed.
   */
  send(command: string, args: readonly Argument[], what: string): Promise<Reply> {
    return this.#attempt((connection) => connection.send(command, args), what);
  }

  /** Runs a script; otherwise as {@link send}. */
  run(
    script: Script,
    keys: readonly Argument[],
    args: readonly Argument[],
    what: string,
  ): Promise<Reply> {
    return this.#attempt((connection) => connection.run(script, keys, args), what);
  }

  /**
   * Opens a further connection to the primary, for commands that block. The link closes it with
   * itself.
   * @param blockMs how long its commands may block, in milliseconds.
   * @throws MicroError as {@link open}.
   */
  async another(blockMs: number): Promise<RedisConnection> {
    await this.#current();
    const connection = await this.#dial(blockMs);
    this.#others.add(connection);
    connection.onClose(() => this.#others.delete(connection));
    return connection;
  }

  /** Resolves after the wait, or when the link closes. */
  async pause(ms: number): Promise<void> {
    await pauseUntilAborted(ms, this.#closing.signal);
  }

  protected override async closeOnce(): Promise<void> {
    const reason = linkClosed();
    this.#closing.abort(reason);
    this.#reconnectListeners.clear();
    this.feed.close();
    await this.#connecting?.catch(() => {});
    await this.#restoring;
    for (const other of this.#others) other.close();
    this.#connection?.close();
  }

  #attempt(work: (connection: RedisConnection) => Promise<Reply>, what: string): Promise<Reply> {
    const connection = this.#connection;
    // Commands are sent in the order of the calls, so one that can be sent does not wait.
    const reply =
      connection?.isOpen === true && !this.isClosing
        ? this.#watched(connection, work)
        : this.#current().then((opened) => this.#watched(opened, work));
    return reply.catch((error: unknown) => {
      throw redisFailure(error, what);
    });
  }

  async #watched(
    connection: RedisConnection,
    work: (connection: RedisConnection) => Promise<Reply>,
  ): Promise<Reply> {
    try {
      return await work(connection);
    } catch (error) {
      // Another server is the primary by now.
      if (refusalOf(error) === "READONLY") connection.close(error as Error);
      throw error;
    }
  }

  async #current(): Promise<RedisConnection> {
    if (this.isClosing) throw linkClosed();
    if (this.#connection?.isOpen === true) return this.#connection;
    if (this.#restoring !== undefined) throw this.#failure ?? linkClosed();
    const { startTimeoutMs = defaultStartTimeoutMs } = this.#options;
    this.#waitsUntil ??= performance.now() + startTimeoutMs;
    this.#connecting ??= this.#connect(this.#waitsUntil).finally(() => {
      this.#connecting = undefined;
    });
    return this.#connecting;
  }

  async #connect(waitsUntil: number): Promise<RedisConnection> {
    for (let failures = 1; ; failures++) {
      try {
        const connection = await this.#dial(0);
        this.#use(connection);
        return connection;
      } catch (error) {
        const failure = redisFailure(error, `connect to Redis at ${this.servers}`);
        const waitMs = backoffMs(backoff, failures, Math.random);
        const leftMs = waitsUntil - performance.now();
        if (this.isClosing || failure.code !== "unavailable" || leftMs < waitMs) {
          this.#report(failure);
          throw failure;
        }
        const message = `${failure.message}; trying again for ${Math.ceil(leftMs / 1_000)} s`;
        const outcome = "not-executed";
        this.#report(new MicroError("unavailable", message, { outcome, cause: failure }));
        await this.pause(waitMs);
      }
    }
  }

  /** Tries each server once, until one of them is the primary. */
  async #dial(blockMs: number): Promise<RedisConnection> {
    let failure: unknown;
    for (let turn = 0; turn < this.#servers.length; turn++) {
      if (this.isClosing) throw linkClosed();
      const index = (this.#first + turn) % this.#servers.length;
      const address = this.#servers[index] as BackendAddress;
      try {
        const { tls } = this.#options;
        const settings = { tls, timeoutMs: this.timeoutMs, blockMs };
        const connection = await RedisConnection.open(address, settings).catch((error: Error) => {
          // Nothing was sent.
          throw new NotSent(error.message, { cause: error });
        });
        try {
          await greet(connection, this.#options);
        } catch (error) {
          connection.close();
          throw error;
        }
        if (this.isClosing) {
          connection.close();
          throw linkClosed();
        }
        this.#first = index;
        return connection;
      } catch (error) {
        failure = error;
      }
    }
    throw failure;
  }

  #use(connection: RedisConnection): void {
    this.#connection = connection;
    this.#failure = undefined;
    this.status.set("healthy");
    connection.onClose((reason) => this.#lost(connection, reason));
  }

  #lost(connection: RedisConnection, reason: Error): void {
    if (this.#connection !== connection || this.isClosing) return;
    const message = `the connection to Redis at ${this.servers} is lost: ${reason.message}`;
    const options = { outcome: "not-executed", retryAfterMs: 100, cause: reason } as const;
    this.#report(new MicroError("unavailable", message, options));
    this.#restoring = this.#restore().finally(() => {
      this.#restoring = undefined;
    });
  }

  async #restore(): Promise<void> {
    for (let failures = 1; !this.isClosing; failures++) {
      await this.pause(backoffMs(backoff, failures, Math.random));
      if (this.isClosing) return;
      let connection: RedisConnection;
      try {
        connection = await this.#dial(0);
      } catch (error) {
        const failure = redisFailure(error, `connect to Redis at ${this.servers}`);
        const { code, message } = failure;
        // An operation that fails with it later has not been sent.
        this.#failure = new MicroError(code, message, { outcome: "not-executed", cause: error });
        continue;
      }
      this.#restoring = undefined;
      this.#use(connection);
      for (const listener of this.#reconnectListeners) listener();
      return;
    }
  }

  #report(failure: MicroError): void {
    this.#failure = failure;
    if (this.status.state === "healthy") this.status.set("lost", failure);
    else if (this.#waitsUntil !== undefined && performance.now() > this.#waitsUntil) {
      this.status.explain(failure);
    }
  }
}

function linkClosed(): MicroError {
  return new MicroError("unavailable", "cannot use Redis: the connection is closed", {
    outcome: "not-executed",
  });
}
