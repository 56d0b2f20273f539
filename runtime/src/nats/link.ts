import {
  connect,
  ErrorCode,
  type JetStreamClient,
  type JetStreamManager,
  type NatsConnection,
  NatsError,
} from "nats";
import { BackendStatus } from "../backend.ts";
import { MicroError } from "../error.ts";
import { natsFailure } from "./failure.ts";
import { connectionOptions, defaultNatsTimeoutMs, type NatsOptions } from "./options.ts";
import { ReconnectWaits } from "./reconnect.ts";

/** How long closing waits for what is on its way out, in milliseconds. */
const drainMs = 2_000;

/**
 * One connection to NATS that several drivers of a process share. It opens at its first use and reconnects for ever;
 * whoever made it closes it.
 */
export class NatsLink implements AsyncDisposable {
  readonly status: BackendStatus = new BackendStatus();
  readonly timeoutMs: number;
  readonly #options: NatsOptions;
  readonly #reconnected = new Set<() => void>();
  readonly #waits = new ReconnectWaits();
  /** Who waits for an answer of the servers; called when the connection is lost. */
  readonly #asking = new Set<(reason: NatsError) => void>();
  #opening: Promise<NatsConnection> | undefined;
  #connection: NatsConnection | undefined;
  #manager: Promise<JetStreamManager> | undefined;
  #closing: Promise<void> | undefined;

  constructor(options: NatsOptions = {}) {
    this.#options = options;
    this.timeoutMs = options.timeoutMs ?? defaultNatsTimeoutMs;
  }

  get closed(): boolean {
    return this.#closing !== undefined;
  }

  /** Whether it is connected right now. */
  get connected(): boolean {
    return this.#connection !== undefined && this.status.state === "healthy";
  }

  /** Whether it was told to speak TLS; it may also do so because its servers demand it. */
  get encrypted(): boolean {
    return connectionOptions(this.#options, () => 0).tls !== undefined;
  }

  /** The servers' limit of one message with its headers, in bytes; known once it is connected. */
  get maxPayload(): number | undefined {
    return this.#connection?.info?.max_payload;
  }

  /**
   * The connection, opened at the first call. It may be reconnecting; what is sent then goes out when it is back.
   * @throws MicroError `unavailable` when it cannot be opened or was closed; `unauthenticated`.
   */
  open(): Promise<NatsConnection> {
    if (this.#closing !== undefined) {
      return Promise.reject(
        new MicroError("unavailable", "cannot use NATS: the connection is closed", {
          outcome: "not-executed",
        }),
      );
    }
    this.#opening ??= this.#open();
    return this.#opening;
  }

  /**
   * The connection, when it is not lost right now.
   * @throws MicroError `unavailable`, not executed, while it is being reconnected.
   */
  async live(what: string): Promise<NatsConnection> {
    const connection = await this.open();
    if (this.status.state === "healthy") return connection;
    throw new MicroError(
      "unavailable",
      `cannot ${what}: the connection to NATS is lost and being made again`,
      { outcome: "not-executed", retryAfterMs: 100 },
    );
  }

  async jetstream(): Promise<JetStreamClient> {
    return (await this.open()).jetstream({ timeout: this.timeoutMs });
  }

  manager(): Promise<JetStreamManager> {
    this.#manager ??= this.open()
      .then((connection) =>
        connection.jetstreamManager({ timeout: this.timeoutMs, checkAPI: false }),
      )
      .catch((error) => {
        this.#manager = undefined;
        throw error;
      });
    return this.#manager;
  }

  /**
   * What the servers answer. The library waits on when the connection is lost, for an answer that does not come any more;
   * this fails at once then, with an outcome that is not known.
   */
  answer<T>(asked: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#asking.add(reject);
      const forget = () => this.#asking.delete(reject);
      asked.then(resolve, reject).finally(forget);
    });
  }

  /** Calls the listener after each reconnection, until the returned function is called. */
  onReconnect(listener: () => void): () => void {
    this.#reconnected.add(listener);
    return () => this.#reconnected.delete(listener);
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #open(): Promise<NatsConnection> {
    try {
      const connection = await connect(connectionOptions(this.#options, this.#waits.delayMs));
      if (this.#closing !== undefined) {
        await connection.close();
        throw new MicroError("unavailable", "cannot use NATS: the connection is closed");
      }
      this.#connection = connection;
      this.#waits.install(connection);
      this.status.set("healthy");
      void this.#follow(connection);
      return connection;
    } catch (error) {
      this.#opening = undefined;
      const failure = natsFailure(error, `connect to NATS at ${this.#servers()}`);
      this.status.set("lost", failure);
      throw failure;
    }
  }

  async #follow(connection: NatsConnection): Promise<void> {
    for await (const { type } of connection.status()) {
      if (type === "disconnect") {
        this.status.set(
          "lost",
          new MicroError("unavailable", `the connection to NATS at ${this.#servers()} is lost`),
        );
        const reason = new NatsError(
          "the connection was lost before the answer",
          ErrorCode.Disconnect,
        );
        for (const fail of this.#asking) fail(reason);
      } else if (type === "reconnect") {
        this.#waits.reset();
        this.status.set("healthy");
        for (const listener of this.#reconnected) listener();
      }
    }
  }

  async #close(): Promise<void> {
    const connection = await this.#opening?.catch(() => undefined);
    this.#reconnected.clear();
    if (connection === undefined || connection.isClosed()) return;
    if (this.status.state === "healthy") {
      let timer: NodeJS.Timeout | undefined;
      const late = new Promise<void>((resolve) => {
        timer = setTimeout(resolve, drainMs);
      });
      await Promise.race([connection.drain().catch(() => {}), late]);
      clearTimeout(timer);
    }
    if (!connection.isClosed()) await connection.close();
  }

  #servers(): string {
    const { servers } = connectionOptions(this.#options, () => 0);
    return [servers ?? []].flat().join(", ");
  }
}
