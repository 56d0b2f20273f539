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
import { metadataV12 } from "@platformatic/kafka";
import { KafkaConnection } from "./connection.ts";
import { kafkaFailure, NotSent } from "./failure.ts";
import { checkVersion, isUnauthenticated } from "./greeting.ts";
import {
  addressesOf,
  defaultStartTimeoutMs,
  defaultTimeoutMs,
  type KafkaOptions,
  kafkaKinds,
} from "./options.ts";

/** Waits between rounds over all brokers. */
const backoff: Backoff = { firstMs: 100, factor: 2, mostMs: 1_000, jitter: 0.5 };
/** The cluster is asked for its brokers at this interval, in milliseconds. */
const lookMs = 2_000;

/**
 * The connections to a Kafka cluster that the parts of a process share: one to any of its brokers,
 * which tells the state of the link, and one to each other broker that is needed. The first opens
 * on first use, which waits for a cluster that is not up yet, and is then restored without limit.
 * Its creator closes it.
 */
export class KafkaLink extends Closable {
  readonly status: BackendStatus = new BackendStatus();
  readonly timeoutMs: number;
  readonly #options: KafkaOptions;
  readonly #servers: readonly BackendAddress[];
  readonly #closing: AbortController = sharedAbortController();
  readonly #reconnectListeners = new Set<() => void>();
  readonly #others = new Set<KafkaConnection>();
  /** The connections to brokers, by their numbers. */
  readonly #nodes = new Map<number, Promise<KafkaConnection>>();
  #brokers: ReadonlyMap<number, BackendAddress> = new Map();
  #connection: KafkaConnection | undefined;
  #connecting: Promise<KafkaConnection> | undefined;
  #restoring: Promise<void> | undefined;
  #failure: MicroError | undefined;
  /** Until when the first use waits; undefined before it. */
  #waitsUntil: number | undefined;
  #looking: NodeJS.Timeout | undefined;
  #turn = 0;

  /** @throws MicroError `invalid_argument` for invalid options. */
  constructor(options: KafkaOptions = {}) {
    super();
    checkOptions("KafkaLink", options, kafkaKinds);
    this.#options = options;
    this.#servers = addressesOf(options);
    this.timeoutMs = options.timeoutMs ?? defaultTimeoutMs;
  }

  get closed(): boolean {
    return this.isClosing;
  }

  get connected(): boolean {
    return this.#connection?.isOpen === true;
  }

  /** The addresses of the brokers, for messages; without credentials. */
  get servers(): string {
    return this.#servers.map(({ text }) => text).join(", ");
  }

  /**
   * Waits for a connection. Until `startTimeoutMs` after the first call it waits for a broker to
   * come up. After that, or once there has been a connection, it fails immediately while there is
   * none.
   * @throws MicroError `unavailable`; `unauthenticated`; `failed_precondition` for a cluster that
   * is too old.
   */
  async open(): Promise<void> {
    await this.any();
  }

  /** Calls the listener after each reconnection, until the returned function is called. */
  onReconnect(listener: () => void): () => void {
    this.#reconnectListeners.add(listener);
    return () => this.#reconnectListeners.delete(listener);
  }

  /** The shared connection to some broker. @throws MicroError as {@link open}. */
  async any(): Promise<KafkaConnection> {
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

  /** The shared connection to a broker. @throws MicroError as {@link open}, and NotSent. */
  async node(id: number): Promise<KafkaConnection> {
    const known = this.#nodes.get(id);
    if (known !== undefined) {
      const connection = await known;
      if (connection.isOpen) return connection;
    }
    const latest = this.#nodes.get(id);
    if (latest !== undefined && latest !== known) return latest;
    const opening = this.another(id, 0);
    this.#nodes.set(id, opening);
    opening.catch(() => {
      if (this.#nodes.get(id) === opening) this.#nodes.delete(id);
    });
    return opening;
  }

  /**
   * Opens a further connection to a broker, for requests that the broker holds back. The link
   * closes it with itself.
   * @param heldMs how long it holds them back, in milliseconds.
   * @throws MicroError as {@link open}, and NotSent.
   */
  async another(id: number, heldMs: number): Promise<KafkaConnection> {
    await this.any();
    const address = this.#brokers.get(id);
    if (address === undefined) throw new NotSent(`the cluster has no broker ${id} at the moment`);
    return this.#dial(address, heldMs);
  }

  /** Keeps the addresses of the brokers, as a response names them. */
  learn(
    brokers: readonly { readonly nodeId: number; readonly host: string; readonly port: number }[],
  ): void {
    this.#brokers = new Map(
      brokers.map(({ nodeId, host, port }) => {
        const text = `${host.includes(":") ? `[${host}]` : host}:${port}`;
        return [nodeId, { host, port, text }];
      }),
    );
  }

  /** Resolves after the wait, or when the link closes. */
  async pause(ms: number): Promise<void> {
    await pauseUntilAborted(ms, this.#closing.signal);
  }

  protected override async closeOnce(): Promise<void> {
    this.#closing.abort(linkClosed());
    this.#reconnectListeners.clear();
    clearTimeout(this.#looking);
    await this.#connecting?.catch(() => {});
    await this.#restoring;
    for (const other of this.#others) other.close();
  }

  async #connect(waitsUntil: number): Promise<KafkaConnection> {
    for (let failures = 1; ; failures++) {
      try {
        const connection = await this.#greeted();
        this.#use(connection);
        return connection;
      } catch (error) {
        const failure = this.#connectFailure(error);
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

  /** Tries each broker once. */
  async #greeted(): Promise<KafkaConnection> {
    const addresses = new Map<string, BackendAddress>();
    for (const one of [...this.#servers, ...this.#brokers.values()]) {
      addresses.set(one.text, one);
    }
    const all = [...addresses.values()];
    let failure: unknown;
    for (let tried = 0; tried < all.length; tried++) {
      try {
        const connection = await this.#dial(all[this.#turn % all.length] as BackendAddress, 0);
        try {
          await checkVersion(connection);
          const { brokers } = await connection.ask(metadataV12.api, [], false, false);
          this.learn(brokers);
        } catch (error) {
          connection.close();
          throw error;
        }
        return connection;
      } catch (error) {
        failure = error;
        this.#turn++;
      }
    }
    throw failure;
  }

  async #dial(address: BackendAddress, heldMs: number): Promise<KafkaConnection> {
    if (this.isClosing) throw linkClosed();
    const settings = { ...this.#options, timeoutMs: this.timeoutMs, heldMs };
    const connection = await KafkaConnection.open(address, settings);
    if (this.isClosing) {
      connection.close();
      throw linkClosed();
    }
    this.#others.add(connection);
    connection.onClose(() => this.#others.delete(connection));
    return connection;
  }

  #use(connection: KafkaConnection): void {
    this.#connection = connection;
    this.#failure = undefined;
    this.status.set("healthy");
    connection.onClose((reason) => this.#lost(connection, reason));
    this.#lookLater();
  }

  /** Finds a broker that no longer responds, and those that joined or left. */
  #lookLater(): void {
    clearTimeout(this.#looking);
    if (this.isClosing) return;
    this.#looking = setTimeout(() => void this.#look(), lookMs);
    this.#looking.unref();
  }

  async #look(): Promise<void> {
    const connection = this.#connection;
    if (connection?.isOpen !== true) return;
    try {
      const { brokers } = await connection.ask(metadataV12.api, [], false, false);
      this.learn(brokers);
    } catch {
      // The end of the connection is reported by its listener.
      return;
    }
    this.#lookLater();
  }

  #lost(connection: KafkaConnection, reason: Error): void {
    if (this.#connection !== connection || this.isClosing) return;
    const message = `the connection to Kafka is lost: ${reason.message}`;
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
      let connection: KafkaConnection;
      try {
        connection = await this.#greeted();
      } catch (error) {
        const { code, message } = this.#connectFailure(error);
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

  #connectFailure(error: unknown): MicroError {
    const what = `connect to Kafka at ${this.servers}`;
    if (!isUnauthenticated(error)) return kafkaFailure(error, what);
    const message = `cannot ${what}: it refuses user and password, or their mechanism (${(error as Error).message})`;
    return new MicroError("unauthenticated", message, { outcome: "not-executed", cause: error });
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
  return new MicroError("unavailable", "cannot use Kafka: the connection is closed", {
    outcome: "not-executed",
  });
}
