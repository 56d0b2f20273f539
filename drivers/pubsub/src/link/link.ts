import {
  asMicroError,
  deadlineAfter,
  httpTransport,
  Metadata,
  type Method,
  MicroError,
  type Transport,
} from "@micro-es/runtime";
import {
  BackendStatus,
  type Backoff,
  backoffMs,
  type Channel,
  Closable,
  checkOptions,
  type OutgoingCall,
  pauseUntilAborted,
  sharedAbortController,
  throwIfAborted,
  untilAborted,
} from "@micro-es/runtime/driver";
import { AccessTokens } from "./access-tokens.ts";
import { tokenSourceOf } from "./credentials.ts";
import { pubSubFailure, unavailable } from "./failure.ts";
import {
  addressOf,
  defaultStartTimeoutMs,
  defaultTimeoutMs,
  invalid,
  type PubSubOptions,
  projectKind,
  pubSubKinds,
  type ServiceAddress,
} from "./options.ts";
import { StreamChannels } from "./stream-channels.ts";

/** Waits between attempts to connect. */
const backoff: Backoff = { firstMs: 100, factor: 2, mostMs: 5_000, jitter: 0.5 };
/**
 * PINGs of HTTP/2 are rare, because servers of gRPC end connections that send more. Requests have
 * deadlines, and streams a heartbeat of their own.
 */
const pingMs = 10 * 60_000;
/** A response with several messages of 10 MB stays below it. */
const maxMessageBytes = 64 * 1024 * 1024;

/** How a request is sent. */
export interface Sending {
  /** The attempted operation, for messages: "publish on orders". */
  readonly what: string;
  /** The field and the name by which the service routes the request: `["topic", "projects/…"]`. */
  readonly route: readonly [field: string, name: string];
  readonly signal?: AbortSignal | undefined;
  /** Timeout of the response, in milliseconds. Default: that of the link. */
  readonly timeoutMs?: number;
}

/**
 * The connections to Pub/Sub that the parts of a process share: one for requests, and others for
 * streams. They open on first use, which waits for a service that cannot be reached yet, and
 * reconnect until the link is closed.
 */
export class PubSubLink extends Closable {
  readonly status: BackendStatus = new BackendStatus();
  readonly timeoutMs: number;
  readonly #options: PubSubOptions;
  readonly #address: ServiceAddress;
  readonly #transport: Transport;
  readonly #streams: StreamChannels;
  readonly #closing: AbortController = sharedAbortController();
  readonly #listeners = new Set<() => void>();
  /** The parts that cannot do what they should, and why. */
  readonly #troubles = new Map<object, MicroError>();
  #tokens: AccessTokens | undefined;
  #channel: Channel | undefined;
  #connecting: Promise<Channel> | undefined;
  #reconnecting: Promise<void> | undefined;
  /** Until when uses wait for the first connection; undefined before the first use. */
  #waitsUntil: number | undefined;
  #wasConnected = false;
  /** When the service last responded to a request. */
  #heardAt = 0;

  constructor(options: PubSubOptions = {}) {
    super();
    checkOptions("PubSubLink", options, pubSubKinds);
    this.#options = options;
    this.#address = addressOf(options);
    this.timeoutMs = options.timeoutMs ?? defaultTimeoutMs;
    const { tls } = options;
    this.#transport = httpTransport({
      protocol: "grpc",
      maxMessageBytes,
      handshakeTimeoutMs: this.timeoutMs,
      keepaliveIntervalMs: pingMs,
      ...(tls === undefined || tls === true ? {} : { tls: { client: { identity: { ...tls } } } }),
    });
    this.#streams = new StreamChannels(() => this.#dial());
  }

  get closed(): boolean {
    return this.isClosing;
  }

  /** Whether there is a connection right now. */
  get connected(): boolean {
    return this.#channel?.state === "open";
  }

  get isEmulator(): boolean {
    return this.#address.isEmulator;
  }

  /** The address of the service, for messages. */
  get address(): string {
    return this.#address.url;
  }

  /**
   * The id of the project.
   * @throws MicroError `invalid_argument` if neither the options nor the environment name one.
   */
  get project(): string {
    const { project, environment = process.env } = this.#options;
    if (project !== undefined) return project;
    const named = environment.GOOGLE_CLOUD_PROJECT || undefined;
    const found = named ?? (this.#address.isEmulator ? undefined : this.#tokenSource.project);
    if (found === undefined) {
      throw invalid(
        "Pub/Sub needs the id of a project: pubsub://my-project, the option project, or the variable GOOGLE_CLOUD_PROJECT",
      );
    }
    if (projectKind.accepts(found)) return found;
    const where = named === undefined ? "the credentials" : "GOOGLE_CLOUD_PROJECT";
    throw invalid(`${JSON.stringify(found.slice(0, 64))} of ${where} is not ${projectKind.words}`);
  }

  /** Calls the listener after each reconnection, until the returned function is called. */
  onReconnect(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /**
   * Waits for a connection. Until `startTimeoutMs` after the first use it waits for a service that
   * cannot be reached. After that, or once there has been a connection, it fails at once.
   * @throws MicroError `unavailable`; `invalid_argument` or `unauthenticated` for credentials that
   * are not valid.
   */
  async open(signal?: AbortSignal): Promise<void> {
    void this.project;
    await untilAborted(this.#current(), signal);
  }

  /**
   * Sends a unary request. One that may be repeated is sent once more when the connection is lost.
   * @throws MicroError `unavailable`, `deadline_exceeded`, or the service's own error.
   */
  async call<I, IInit, O, OInit>(
    method: Method<I, IInit, O, OInit>,
    request: IInit,
    sending: Sending,
  ): Promise<O> {
    const { what, signal, timeoutMs = this.timeoutMs } = sending;
    const deadline = deadlineAfter(timeoutMs);
    let isTokenFresh = false;
    for (let attempt = 1; ; attempt++) {
      let channel: Channel | undefined;
      let token: string | undefined;
      const sentAt = performance.now();
      try {
        channel = await untilAborted(this.#current(), signal);
        token = await this.#token(signal);
        const response = await channel.unary(
          method,
          request,
          this.#outgoing(sending, deadline, token),
        );
        this.#heardAt = performance.now();
        return response;
      } catch (error) {
        if (this.#closing.signal.aborted) throw linkClosed(what);
        const failure = asAbandoned(pubSubFailure(error, what), signal);
        if (channel === undefined || token === undefined || signal?.aborted === true) throw failure;
        if (failure.code === "unauthenticated" && token !== "" && !isTokenFresh) {
          isTokenFresh = true;
          this.#tokens?.refuse(token);
          continue;
        }
        this.#judge(channel, failure, sentAt);
        const mayRepeat = failure.outcome === "not-executed" || method.idempotency !== "unknown";
        const isLost = failure.code === "unavailable" && channel.state !== "open";
        if (!isLost || !mayRepeat || attempt > 1 || performance.now() >= deadline) throw failure;
      }
    }
  }

  /**
   * Opens a stream on one of the connections for streams. It ends with the signal.
   * @throws MicroError as {@link open}; the iteration throws the error that ended the stream.
   */
  async stream<I, IInit, O, OInit>(
    method: Method<I, IInit, O, OInit>,
    requests: AsyncIterable<IInit>,
    sending: Sending,
  ): Promise<AsyncIterable<O>> {
    const { signal } = sending;
    // Its state is the link's, and its first use waits for the service.
    await untilAborted(this.#current(), signal);
    const token = await this.#token(signal);
    const place = await untilAborted(this.#streams.take(), [signal, this.#closing.signal], {
      late: (late) => late.release(),
    });
    const call = this.#outgoing(sending, Number.POSITIVE_INFINITY, token);
    const { channel, release } = place;
    const refused = (error: unknown) => {
      if (asMicroError(error).code === "unauthenticated") this.#tokens?.refuse(token);
    };
    return (async function* () {
      try {
        yield* channel.stream(method, requests, call);
      } catch (error) {
        refused(error);
        throw error;
      } finally {
        release();
      }
    })();
  }

  /** What a part cannot do at present; undefined when it can again. The link is then degraded. */
  trouble(owner: object, failure: MicroError | undefined): void {
    if (failure === undefined) this.#troubles.delete(owner);
    else this.#troubles.set(owner, failure);
    if (this.#closing.signal.aborted || this.status.state === "lost") return;
    this.#reportTroubles();
  }

  /** Resolves once there is a connection, or the signal fires. */
  async untilConnected(signal: AbortSignal): Promise<void> {
    for (let failures = 0; !this.connected && !signal.aborted && !this.closed; failures++) {
      try {
        await untilAborted(this.#current(), signal);
      } catch {
        await pauseUntilAborted(backoffMs(backoff, failures + 1, Math.random), signal);
      }
    }
  }

  protected override async closeOnce(): Promise<void> {
    this.#closing.abort(linkClosed("use Pub/Sub"));
    this.#listeners.clear();
    await this.#connecting?.catch(() => {});
    await this.#reconnecting;
    await Promise.all([this.#channel?.close(), this.#streams.close()]);
  }

  get #tokenSource(): AccessTokens {
    this.#tokens ??= new AccessTokens(tokenSourceOf(this.#options), this.#closing.signal);
    return this.#tokens;
  }

  /** Empty for an emulator. */
  async #token(signal: AbortSignal | undefined): Promise<string> {
    return this.#address.isEmulator ? "" : this.#tokenSource.get(signal);
  }

  #outgoing({ route: [field, name], signal }: Sending, deadline: number, token: string) {
    const metadata = new Metadata({
      "x-goog-request-params": `${field}=${encodeURIComponent(name)}`,
      ...(token === "" ? {} : { authorization: `Bearer ${token}` }),
    });
    return {
      deadline,
      metadata,
      signal,
      responseMetadata: undefined,
      trailers: undefined,
    } satisfies OutgoingCall;
  }

  /** A connection that responds to other requests is only slow. */
  #judge(channel: Channel, failure: MicroError, sentAt: number): void {
    const isSilent = failure.code === "deadline_exceeded" && this.#heardAt < sentAt;
    if (isSilent) this.#giveUp(channel, failure);
  }

  /** The current connection, or the next one. */
  async #current(): Promise<Channel> {
    if (this.#closing.signal.aborted) throw linkClosed("use Pub/Sub");
    if (this.#channel?.state === "open") return this.#channel;
    this.#waitsUntil ??=
      performance.now() + (this.#options.startTimeoutMs ?? defaultStartTimeoutMs);
    this.#connecting ??= this.#connect().finally(() => {
      this.#connecting = undefined;
    });
    return this.#connecting;
  }

  async #connect(): Promise<Channel> {
    const { signal } = this.#closing;
    for (let failures = 1; ; failures++) {
      try {
        // Credentials that are not valid fail here, and not at each request.
        await this.#token(signal);
        const channel = await this.#dial();
        this.#adopt(channel);
        return channel;
      } catch (error) {
        const failure = pubSubFailure(error, `connect to Pub/Sub at ${this.address}`);
        if (signal.aborted) throw failure;
        this.#lost(failure);
        const waitMs = backoffMs(backoff, failures, Math.random);
        const leftMs = (this.#waitsUntil ?? 0) - performance.now();
        const isPassing = failure.code === "unavailable" || failure.code === "deadline_exceeded";
        if (!isPassing || this.#wasConnected || leftMs < waitMs) throw failure;
        await pauseUntilAborted(waitMs, signal);
      }
    }
  }

  async #dial(): Promise<Channel> {
    const { signal } = this.#closing;
    throwIfAborted(signal);
    return this.#transport.dial(this.#address.url, {
      signal,
      deadline: deadlineAfter(this.timeoutMs),
    });
  }

  #adopt(channel: Channel): void {
    const again = this.#wasConnected;
    this.#channel = channel;
    this.#wasConnected = true;
    this.#reportTroubles();
    void channel.closed.then((reason) => {
      const why = reason ?? unavailable("the connection was closed", "unknown");
      this.#giveUp(channel, pubSubFailure(why, `use Pub/Sub at ${this.address}`));
    });
    if (!again) return;
    for (const listener of [...this.#listeners]) listener();
  }

  /** Abandons a connection, and makes another one. */
  #giveUp(channel: Channel, reason: MicroError): void {
    if (this.#channel !== channel) return;
    this.#channel = undefined;
    void channel.close();
    if (this.#closing.signal.aborted) return;
    this.#lost(reason);
    this.#reconnecting ??= this.#reconnect().finally(() => {
      this.#reconnecting = undefined;
    });
  }

  async #reconnect(): Promise<void> {
    const { signal } = this.#closing;
    for (let failures = 1; !signal.aborted && !this.connected; failures++) {
      // All clients of a service that restarts reconnect at once.
      await pauseUntilAborted(
        failures === 1 ? Math.random() * 100 : backoffMs(backoff, failures, Math.random),
        signal,
      );
      // A failure is reported by the state.
      if (!signal.aborted) await this.#current().catch(() => {});
    }
  }

  #lost(reason: MicroError): void {
    this.#report("lost", reason);
  }

  #reportTroubles(): void {
    const [trouble] = this.#troubles.values();
    if (trouble === undefined) this.status.set("healthy");
    else this.#report("degraded", trouble);
  }

  #report(state: "degraded" | "lost", failure: MicroError): void {
    if (this.#closing.signal.aborted) return;
    if (this.status.state === state) this.status.explain(failure);
    else this.status.set(state, failure);
  }
}

/** Giving up a connection cancels its other requests, whose callers did not ask for that. */
function asAbandoned(failure: MicroError, signal: AbortSignal | undefined): MicroError {
  if (failure.code !== "canceled" || signal?.aborted === true) return failure;
  const { message, outcome } = failure;
  return new MicroError("unavailable", message, { outcome, cause: failure });
}

function linkClosed(what: string): MicroError {
  return unavailable(`cannot ${what}: the connection to Pub/Sub is closed`, "not-executed");
}
