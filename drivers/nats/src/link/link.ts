import { MicroError } from "@micro-es/runtime";
import {
  BackendStatus,
  type Backoff,
  backoffMs,
  Closable,
  checkOptions,
  waitUntilAborted,
} from "@micro-es/runtime/driver";
import {
  connect,
  ErrorCode,
  type JetStreamClient,
  type JetStreamManager,
  type NatsConnection,
  NatsError,
} from "nats";
import { isNotUpYet, natsFailure } from "./failure.ts";
import { natsKinds } from "./option-kinds.ts";
import {
  connectionOptions,
  defaultNatsTimeoutMs,
  defaultStartTimeoutMs,
  type NatsOptions,
} from "./options.ts";
import { ReconnectWaits } from "./reconnect.ts";

/** How long closing waits for outgoing data, in milliseconds. */
const drainMs = 2_000;

/** Waits between attempts to connect for the first time. */
const firstConnection: Backoff = { firstMs: 100, factor: 2, mostMs: 2_000, jitter: 0.2 };

/**
 * One connection to NATS that several drivers of a process share. It opens on first use, which
 * waits for servers that are not up yet, and reconnects without limit. Its creator closes it.
 */
export class NatsLink extends Closable {
  readonly status: BackendStatus = new BackendStatus();
  readonly timeoutMs: number;
  readonly #options: NatsOptions;
  readonly #reconnected = new Set<() => void>();
  readonly #denied = new Set<(subject: string) => void>();
  readonly #waits = new ReconnectWaits();
  readonly #closeBegun = new AbortController();
  /** Until when the first use waits for the servers; undefined before it. */
  #waitsUntil: number | undefined;
  /** Pending requests to the servers; called when the connection is lost. */
  readonly #asking = new Set<(reason: NatsError) => void>();
  #opening: Promise<NatsConnection> | undefined;
  #connection: NatsConnection | undefined;
  #manager: Promise<JetStreamManager> | undefined;

  constructor(options: NatsOptions = {}) {
    super();
    checkOptions("NatsLink", options, natsKinds);
    this.#options = options;
    this.timeoutMs = options.timeoutMs ?? defaultNatsTimeoutMs;
  }

  get closed(): boolean {
    return this.isClosing;
  }

  /** Whether it is connected right now. */
  get connected(): boolean {
    return this.#connection !== undefined && this.status.state === "healthy";
  }

  /** Whether TLS was requested; the servers may also require it. */
  get encrypted(): boolean {
    return connectionOptions(this.#options, () => 0).tls !== undefined;
  }

  /** The servers' limit for one message with its headers, in bytes; known once it is connected. */
  get maxPayload(): number | undefined {
    return this.#connection?.info?.max_payload;
  }

  /**
   * The connection, opened at the first call. It may be reconnecting; messages sent meanwhile go
   * out when it is back. Until `startTimeoutMs` after the first call this waits for the servers;
   * after that it fails immediately while they are unreachable.
   * @throws MicroError `unavailable` when it cannot be opened or was closed; `unauthenticated`.
   */
  open(): Promise<NatsConnection> {
    if (this.isClosing) {
      return Promise.reject(linkClosed());
    }
    this.#opening ??= this.#open();
    return this.#opening;
  }

  /**
   * The connection, unless it is currently lost.
   * @throws MicroError `unavailable`, not executed, while it is reconnecting.
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

  /** The connection if it is open and not lost; undefined if {@link live} would wait or reject. */
  get liveNow(): NatsConnection | undefined {
    return this.isClosing || this.status.state !== "healthy" ? undefined : this.#connection;
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
   * The servers' response. When the connection is lost, the library keeps waiting for a response
   * that will not arrive; this fails at once then, with an unknown outcome.
   */
  response<T>(asked: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#asking.add(reject);
      const forget = () => this.#asking.delete(reject);
      asked.then(resolve, reject).finally(forget);
    });
  }

  /** Calls the listener when the connection is lost, until the returned function is called. */
  onLost(listener: () => void): () => void {
    this.#asking.add(listener);
    return () => this.#asking.delete(listener);
  }

  /** Calls the listener after each reconnection, until the returned function is called. */
  onReconnect(listener: () => void): () => void {
    this.#reconnected.add(listener);
    return () => this.#reconnected.delete(listener);
  }

  /**
   * Calls the listener with each subject on which the servers refused a message, until the returned
   * function is called.
   */
  onDenied(listener: (subject: string) => void): () => void {
    this.#denied.add(listener);
    return () => this.#denied.delete(listener);
  }

  async #open(): Promise<NatsConnection> {
    const { startTimeoutMs = defaultStartTimeoutMs } = this.#options;
    this.#waitsUntil ??= performance.now() + startTimeoutMs;
    for (let failures = 1; ; failures++) {
      try {
        return await this.#connect();
      } catch (error) {
        const failure = natsFailure(error, `connect to NATS at ${this.#servers()}`);
        const leftMs = this.#waitsUntil - performance.now();
        const waitMs = backoffMs(firstConnection, failures, Math.random);
        if (this.isClosing || !isNotUpYet(error) || leftMs < waitMs) {
          this.#opening = undefined;
          this.#report(failure);
          throw failure;
        }
        this.#report(
          new MicroError(
            "unavailable",
            `${failure.message}; trying again for ${Math.ceil(leftMs / 1_000)} s`,
            { outcome: "not-executed", cause: failure },
          ),
        );
        await this.#pause(waitMs);
      }
    }
  }

  async #connect(): Promise<NatsConnection> {
    if (this.isClosing) throw linkClosed();
    const connection = await connect(connectionOptions(this.#options, this.#waits.delayMs));
    if (this.isClosing) {
      await connection.close();
      throw linkClosed();
    }
    this.#connection = connection;
    this.#waits.install(connection);
    this.status.set("healthy");
    void this.#follow(connection);
    return connection;
  }

  /**
   * The first failure is reported as the change of state, with how long connecting is attempted.
   * The last one reports that the attempts have ended.
   */
  #report(failure: MicroError): void {
    if (this.status.state === "healthy") this.status.set("lost", failure);
    else if (this.#opening === undefined) this.status.explain(failure);
  }

  async #pause(ms: number): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    await waitUntilAborted(this.#closeBegun.signal, (done) => {
      timer = setTimeout(done, ms);
      return () => clearTimeout(timer);
    });
  }

  async #follow(connection: NatsConnection): Promise<void> {
    for await (const { type, permissionContext: denied } of connection.status()) {
      if (type === "disconnect") {
        this.status.set(
          "lost",
          new MicroError("unavailable", `the connection to NATS at ${this.#servers()} is lost`),
        );
        const reason = new NatsError(
          "the connection was lost before the response",
          ErrorCode.Disconnect,
        );
        for (const fail of this.#asking) fail(reason);
      } else if (type === "reconnect") {
        this.#waits.reset();
        this.status.set("healthy");
        for (const listener of this.#reconnected) listener();
      } else if (denied?.operation === "publish") {
        for (const listener of this.#denied) listener(denied.subject);
      }
    }
  }

  protected override async closeOnce(): Promise<void> {
    this.#closeBegun.abort();
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

function linkClosed(): MicroError {
  return new MicroError("unavailable", "cannot use NATS: the connection is closed", {
    outcome: "not-executed",
  });
}
