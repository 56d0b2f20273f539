import { MicroError } from "@micro-es/runtime";
import {
  type Backoff,
  backoffMs,
  Closable,
  pauseUntilAborted,
  sharedAbortController,
  throwIfAborted,
  untilAborted,
  waitUntilAborted,
} from "@micro-es/runtime/driver";
import type { ChannelModel } from "amqplib";
import { isRefused, rabbitMqFailure, unavailable } from "./failure.ts";

/** Waits between attempts to connect; the first is short, because another server may be there. */
const backoff: Backoff = { firstMs: 100, factor: 2, mostMs: 1_000, jitter: 0.5 };
/** How long closing waits for the server, in milliseconds. */
const closeMs = 1_000;

/** What a connection needs of its link. */
export interface ConnectionHost {
  /** The addresses of the servers, for messages. */
  readonly servers: string;
  /** How long the first use waits for the servers, in milliseconds. */
  readonly startTimeoutMs: number;
  /** Connects to the next server once. */
  dial(signal: AbortSignal): Promise<ChannelModel>;
  /** The connection was made, lost, blocked or unblocked. */
  changed(): void;
}

/** A property of the library's connection that its type lacks. */
interface Underlying {
  readonly connection: { readonly stream?: { destroy(): void } };
}

/** One connection, made on first use, and made again until it is closed whenever it is lost. */
export class RabbitMqConnection extends Closable {
  readonly #host: ConnectionHost;
  readonly #closing: AbortController = sharedAbortController();
  readonly #reconnectListeners = new Set<() => void>();
  readonly #blockedListeners = new Set<() => void>();
  #model: ChannelModel | undefined;
  #connecting: Promise<ChannelModel> | undefined;
  #reconnecting: Promise<void> | undefined;
  #failure: MicroError | undefined;
  #blocked: string | undefined;
  /** Until when the first use waits; undefined before it. */
  #waitsUntil: number | undefined;

  constructor(host: ConnectionHost) {
    super();
    this.#host = host;
  }

  /** The connection if there is one right now. */
  get model(): ChannelModel | undefined {
    return this.#model;
  }

  /** Why there is none; undefined before the first use. */
  get failure(): MicroError | undefined {
    return this.#failure;
  }

  /** Why the server takes no publications, such as `low on memory`; undefined if it does. */
  get blocked(): string | undefined {
    return this.#blocked;
  }

  /** Calls the listener after each connection, until the returned function is called. */
  onReconnect(listener: () => void): () => void {
    this.#reconnectListeners.add(listener);
    return () => this.#reconnectListeners.delete(listener);
  }

  /** Resolves when there is a connection, or when a signal fires. Never rejects. */
  async untilConnected(...signals: readonly (AbortSignal | undefined)[]): Promise<void> {
    if (this.#model !== undefined) return;
    const all = [...signals, this.#closing.signal];
    await waitUntilAborted(all, (done) => this.onReconnect(done));
  }

  /** Resolves when the connection is not blocked, or is lost, or a signal fires. Never rejects. */
  async untilUnblocked(signal: AbortSignal | undefined): Promise<void> {
    if (this.#blocked === undefined) return;
    await waitUntilAborted([signal, this.#closing.signal], (done) => {
      this.#blockedListeners.add(done);
      return () => this.#blockedListeners.delete(done);
    });
  }

  /**
   * Waits for a connection. Until `startTimeoutMs` after the first call it waits for servers that
   * are not up yet. After that, or once there has been a connection, it fails immediately while
   * there is none.
   * @throws MicroError `unavailable`, or why the servers refuse.
   */
  async open(signal?: AbortSignal): Promise<ChannelModel> {
    return this.#model ?? (await untilAborted(this.#current(), signal));
  }

  protected override async closeOnce(): Promise<void> {
    this.#closing.abort(connectionClosed());
    this.#reconnectListeners.clear();
    await this.#connecting?.catch(() => {});
    await this.#reconnecting;
    const model = this.#model;
    this.#model = undefined;
    if (model !== undefined) await closeModel(model);
  }

  async #current(): Promise<ChannelModel> {
    if (this.isClosing) throw connectionClosed();
    if (this.#model !== undefined) return this.#model;
    // While it is lost, what needs it fails, unless it is the first use.
    if (this.#reconnecting !== undefined) throw this.#failure ?? connectionClosed();
    this.#waitsUntil ??= performance.now() + this.#host.startTimeoutMs;
    this.#connecting ??= this.#connect().finally(() => {
      this.#connecting = undefined;
    });
    return this.#connecting;
  }

  /** Connects for the first time. */
  async #connect(): Promise<ChannelModel> {
    const { signal } = this.#closing;
    for (let failures = 1; ; failures++) {
      try {
        return await this.#connectOnce();
      } catch (error) {
        const failure = this.#report(error);
        const waitMs = backoffMs(backoff, failures, Math.random);
        const leftMs = (this.#waitsUntil ?? 0) - performance.now();
        if (leftMs < waitMs || signal.aborted || isRefused(failure)) {
          this.#reconnectSoon();
          throw failure;
        }
        await pauseUntilAborted(waitMs, signal);
        throwIfAborted(signal);
      }
    }
  }

  async #connectOnce(): Promise<ChannelModel> {
    const model = await this.#host.dial(this.#closing.signal);
    // An error without a listener would end the process.
    model.on("error", (error) => this.#lose(model, error));
    model.on("close", (error) => this.#lose(model, error));
    if (this.isClosing) {
      await closeModel(model);
      throw connectionClosed();
    }
    model.on("blocked", (reason) => this.#block(model, String(reason)));
    model.on("unblocked", () => this.#block(model, undefined));
    this.#model = model;
    this.#failure = undefined;
    this.#host.changed();
    for (const listener of [...this.#reconnectListeners]) listener();
    return model;
  }

  #block(model: ChannelModel, reason: string | undefined): void {
    if (this.#model !== model || this.#blocked === reason) return;
    this.#blocked = reason;
    this.#host.changed();
    if (reason === undefined) this.#tellUnblocked();
  }

  #tellUnblocked(): void {
    for (const listener of [...this.#blockedListeners]) listener();
  }

  #lose(model: ChannelModel, error: unknown): void {
    if (this.#model !== model) return;
    this.#model = undefined;
    this.#blocked = undefined;
    if (this.isClosing) return;
    this.#report(error ?? new Error("the server closed the connection"));
    this.#tellUnblocked();
    this.#reconnectSoon();
  }

  #reconnectSoon(): void {
    if (this.isClosing) return;
    this.#reconnecting ??= this.#reconnect().finally(() => {
      this.#reconnecting = undefined;
      // It may have ended again meanwhile.
      if (this.#model === undefined) this.#reconnectSoon();
    });
  }

  async #reconnect(): Promise<void> {
    const { signal } = this.#closing;
    for (let failures = 1; !signal.aborted && this.#model === undefined; failures++) {
      // All clients of a server that died reconnect at once, so the waits are random.
      await pauseUntilAborted(
        failures === 1 ? Math.random() * 100 : backoffMs(backoff, failures, Math.random),
        signal,
      );
      if (signal.aborted) return;
      await this.#connectOnce().catch((error: unknown) => this.#report(error));
    }
  }

  /** Keeps the failure for those that need the connection meanwhile. */
  #report(error: unknown): MicroError {
    const failure = rabbitMqFailure(error, `connect to RabbitMQ at ${this.#host.servers}`);
    this.#failure = new MicroError(
      isRefused(failure) ? failure.code : "unavailable",
      failure.message,
      { outcome: "not-executed", cause: failure.cause ?? failure },
    );
    if (!this.isClosing) this.#host.changed();
    return this.#failure;
  }
}

/** Closes a connection, and waits for the server for a moment. */
async function closeModel(model: ChannelModel): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, closeMs);
  });
  // It rejects if the connection has ended meanwhile.
  const closed = Promise.resolve()
    .then(() => model.close())
    .catch(() => {});
  await Promise.race([closed, late]);
  clearTimeout(timer);
  (model as unknown as Underlying).connection.stream?.destroy();
}

function connectionClosed(): MicroError {
  return unavailable("cannot use RabbitMQ: the connection is closed");
}
