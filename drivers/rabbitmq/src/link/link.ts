import type { MicroError } from "@micro-es/runtime";
import {
  type BackendAddress,
  BackendStatus,
  Closable,
  checkOptions,
  listenForAbort,
  throwIfAborted,
  untilAborted,
} from "@micro-es/runtime/driver";
import { type Channel, type ChannelModel, connect } from "amqplib";
import { RabbitMqConnection } from "./connection.ts";
import { unavailable } from "./failure.ts";
import {
  defaultStartTimeoutMs,
  defaultTimeoutMs,
  type RabbitMqOptions,
  rabbitMqKinds,
  serversOf,
} from "./options.ts";

/** A connection that is silent for two of these is lost; in seconds. */
const heartbeat = 5;

/**
 * The connections to RabbitMQ that the parts of a process share: one to publish on, which the
 * server blocks while it lacks memory or disk, and one to consume on, so that acknowledgements pass
 * meanwhile. They open on first use, which waits for servers that are not up yet, and reconnect
 * until the link is closed.
 */
export class RabbitMqLink extends Closable {
  readonly status: BackendStatus = new BackendStatus();
  readonly timeoutMs: number;
  readonly publishing: RabbitMqConnection;
  readonly consuming: RabbitMqConnection;
  readonly #options: RabbitMqOptions;
  readonly #servers: readonly BackendAddress[];
  readonly #enders = new Set<() => Promise<void>>();
  /** What works only partly, by whose it is. */
  readonly #troubles = new Map<object, MicroError>();
  /** The index of the server to try next. */
  #next: number;
  #told: MicroError | undefined;

  constructor(options: RabbitMqOptions = {}) {
    super();
    checkOptions("RabbitMqLink", options, rabbitMqKinds);
    this.#options = options;
    this.#servers = serversOf(options);
    this.timeoutMs = options.timeoutMs ?? defaultTimeoutMs;
    // Spreads the clients of a cluster over its servers.
    this.#next = Math.floor(Math.random() * this.#servers.length);
    const connection = (purpose: string) =>
      new RabbitMqConnection({
        servers: this.servers,
        startTimeoutMs: options.startTimeoutMs ?? defaultStartTimeoutMs,
        dial: (signal) => this.#dial(purpose, signal),
        changed: () => this.#changed(),
      });
    this.publishing = connection("publish");
    this.consuming = connection("consume");
  }

  get closed(): boolean {
    return this.isClosing;
  }

  get encrypted(): boolean {
    return this.#options.tls !== undefined;
  }

  get connected(): boolean {
    return [this.publishing, this.consuming].some(({ model }) => model !== undefined);
  }

  /** The addresses of the servers, for messages; without credentials. */
  get servers(): string {
    return this.#servers.map(({ text }) => text).join(", ");
  }

  /**
   * Waits for the connection to publish on, as {@link RabbitMqConnection.open}.
   * @throws MicroError `unavailable`, or why the servers refuse.
   */
  async open(signal?: AbortSignal): Promise<void> {
    await this.publishing.open(signal);
  }

  /** Calls this function when the link closes, before its connections do. It must not reject. */
  atClose(end: () => Promise<void>): void {
    this.#enders.add(end);
  }

  onReconnect(listener: () => void): () => void {
    const forget = [this.publishing, this.consuming].map((each) => each.onReconnect(listener));
    return () => {
      for (const each of forget) each();
    };
  }

  /** Shows the state `degraded`, with this reason, until the trouble of `whose` is over. */
  trouble(whose: object, reason: MicroError | undefined): void {
    if (reason === undefined && !this.#troubles.has(whose)) return;
    if (reason === undefined) this.#troubles.delete(whose);
    else this.#troubles.set(whose, reason);
    this.#changed();
  }

  /**
   * Waits for a response of the server, which the library would do for ever.
   * @throws MicroError `unavailable`, of which it is unknown whether it was executed; or the
   * library's error.
   */
  async response<T>(asked: Promise<T>, what: string): Promise<T> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => {
        const message = `cannot ${what}: RabbitMQ did not respond within ${this.timeoutMs} ms`;
        reject(unavailable(message, "unknown"));
      }, this.timeoutMs);
    });
    try {
      return await Promise.race([asked, late]);
    } finally {
      clearTimeout(timer);
    }
  }

  /**
   * Waits for a channel, and closes one that arrives too late.
   * @throws MicroError as {@link response}, or that of the signal.
   */
  async channel<C extends Channel>(
    opening: Promise<C>,
    what: string,
    signal?: AbortSignal,
  ): Promise<C> {
    let isLate = false;
    const opened = opening.then((channel) => {
      // An error without a listener would end the process.
      channel.on("error", () => {});
      if (isLate) channel.close().catch(() => {});
      return channel;
    });
    try {
      return await untilAborted(this.response(opened, what), signal);
    } catch (error) {
      isLate = true;
      opened.catch(() => {});
      throw error;
    }
  }

  protected override async closeOnce(): Promise<void> {
    await Promise.all([...this.#enders].map((end) => end()));
    await Promise.all([this.publishing.close(), this.consuming.close()]);
  }

  /** Tries every server once, beginning with the next one. */
  async #dial(purpose: string, signal: AbortSignal): Promise<ChannelModel> {
    let failure: unknown;
    for (let tried = 0; tried < this.#servers.length; tried++) {
      throwIfAborted(signal);
      const server = this.#servers[this.#next] as BackendAddress;
      try {
        return await this.#dialOne(server, purpose, signal);
      } catch (error) {
        failure = error;
        this.#next = (this.#next + 1) % this.#servers.length;
      }
    }
    throw failure;
  }

  async #dialOne(
    { host, port }: BackendAddress,
    purpose: string,
    signal: AbortSignal,
  ): Promise<ChannelModel> {
    const { user = "guest", password = "guest", vhost = "/", tls, name = "micro" } = this.#options;
    // The library has no limit for the handshake.
    const limit = new AbortController();
    let isLate = false;
    const timer = setTimeout(() => {
      isLate = true;
      limit.abort();
    }, this.timeoutMs);
    // The socket keeps its signal, so the one that closes the link is not passed on.
    const stop = listenForAbort(signal, () => limit.abort());
    try {
      return await connect(
        {
          protocol: tls === undefined ? "amqp" : "amqps",
          hostname: host,
          port,
          username: user,
          password,
          vhost: encodeURIComponent(vhost),
          heartbeat,
        },
        {
          ...(typeof tls === "object" ? tls : {}),
          ...({ signal: limit.signal } as object),
          noDelay: true,
          clientProperties: { connection_name: `${name} (${purpose})` },
        },
      );
    } catch (error) {
      throwIfAborted(signal);
      if (!isLate) throw error;
      throw unavailable(`no response within ${this.timeoutMs} ms`, "not-executed", error);
    } finally {
      clearTimeout(timer);
      stop();
    }
  }

  #changed(): void {
    if (this.isClosing) return;
    const lost = this.publishing.failure ?? this.consuming.failure;
    const { blocked } = this.publishing;
    const [trouble] =
      blocked === undefined
        ? [...this.#troubles.values()]
        : [unavailable(`RabbitMQ takes no publications: ${blocked}`)];
    const reason = lost ?? trouble;
    const state = lost !== undefined ? "lost" : trouble !== undefined ? "degraded" : "healthy";
    if (this.status.state !== state) this.status.set(state, reason);
    else if (reason !== undefined && reason.message !== this.#told?.message) {
      this.status.explain(reason);
    }
    this.#told = reason;
  }
}
