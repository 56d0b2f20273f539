import type { DescMessage, MessageInitShape, MessageShape } from "@bufbuild/protobuf";
import {
  asMicroError,
  deadlineAfter,
  httpTransport,
  Metadata,
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
import { etcdFailure, isMemberFault, isTokenRefused } from "./failure.ts";
import { authenticate, type EtcdMethod, range } from "./methods.ts";
import {
  defaultStartTimeoutMs,
  defaultTimeoutMs,
  type EtcdOptions,
  endpointsOf,
  etcdKinds,
} from "./options.ts";

/**
 * Waits between rounds over all endpoints. The smallest lease is 2 s, so the waits stay well below
 * it.
 */
const backoff: Backoff = { firstMs: 100, factor: 2, mostMs: 1_000, jitter: 0.5 };

interface Connected {
  readonly channel: Channel;
  readonly endpoint: string;
  /** When the member last responded to anything. */
  heardAt: number;
}

/**
 * The connection to an etcd cluster that the parts of a process share. It opens on first use, which
 * waits for a cluster that is not up yet. It moves to another endpoint when a member fails, and
 * reconnects until it is closed.
 */
export class EtcdLink extends Closable {
  readonly status: BackendStatus = new BackendStatus();
  readonly timeoutMs: number;
  readonly #options: EtcdOptions;
  readonly #endpoints: readonly string[];
  readonly #transport: Transport;
  readonly #closing: AbortController = sharedAbortController();
  readonly #connectedListeners = new Set<() => void>();
  /** The endpoint to try next. */
  #next: number;
  #connected: Connected | undefined;
  #connecting: Promise<Connected> | undefined;
  #reconnecting: Promise<void> | undefined;
  /** Undefined until etcd has issued one; empty if authentication is disabled. */
  #token: string | undefined;
  #authenticating: Promise<void> | undefined;
  /** Until when calls wait for the first connection; undefined before the first use. */
  #waitsUntil: number | undefined;
  #wasConnected = false;

  constructor(options: EtcdOptions = {}) {
    super();
    checkOptions("EtcdLink", options, etcdKinds);
    this.#options = options;
    this.#endpoints = endpointsOf(options);
    this.timeoutMs = options.timeoutMs ?? defaultTimeoutMs;
    const { tls } = options;
    this.#transport = httpTransport({
      protocol: "grpc",
      // A page of records, and a fragment of a watch, stay below it.
      maxMessageBytes: 8 * 1024 * 1024,
      handshakeTimeoutMs: this.timeoutMs,
      ...(tls === undefined || tls === true ? {} : { tls: { client: { identity: { ...tls } } } }),
    });
    // Spreads the clients of a cluster over its members.
    this.#next = Math.floor(Math.random() * this.#endpoints.length);
  }

  get closed(): boolean {
    return this.isClosing;
  }

  /** Whether there is a connection right now. */
  get connected(): boolean {
    return this.#connected?.channel.state === "open";
  }

  /** The endpoints, for messages; without credentials. */
  get endpoints(): string {
    return this.#endpoints.join(", ");
  }

  /** Calls the listener after each reconnection, until the returned function is called. */
  onReconnect(listener: () => void): () => void {
    this.#connectedListeners.add(listener);
    return () => this.#connectedListeners.delete(listener);
  }

  /**
   * Waits for a connection. Until `startTimeoutMs` after the first call it waits for the cluster to
   * come up. After that, or once there has been a connection, it fails immediately while there is
   * none.
   * @throws MicroError `unavailable`; `unauthenticated` or `invalid_argument` if etcd rejects user
   * and password.
   */
  async open(signal?: AbortSignal): Promise<void> {
    await untilAborted(this.#current(), signal);
  }

  /**
   * Sends a unary request to one of the members. A request that certainly did not run, or may be
   * repeated, is sent to another member if the first fails.
   * @param what the attempted operation, for messages: "register greeter-1".
   * @throws MicroError `unavailable`, `deadline_exceeded`, or etcd's own error.
   */
  async call<I extends DescMessage, O extends DescMessage>(
    method: EtcdMethod<I, O>,
    request: MessageInitShape<I>,
    what: string,
    signal?: AbortSignal,
  ): Promise<MessageShape<O>> {
    try {
      return await this.#attempt(method, signal, (channel, call) =>
        channel.unary(method, request, call),
      );
    } catch (error) {
      throw etcdFailure(error, what);
    }
  }

  /**
   * Sends one request on a stream of its own, and returns the first response. Otherwise as
   * {@link call}.
   */
  async exchange<I extends DescMessage, O extends DescMessage>(
    method: EtcdMethod<I, O>,
    request: MessageInitShape<I>,
    what: string,
    signal?: AbortSignal,
  ): Promise<MessageShape<O>> {
    try {
      return await this.#attempt(method, signal, async (channel, call) => {
        let response: MessageShape<O> | undefined;
        // Read to its end: leaving a stream early resets it, and etcd and the transport count
        // resets.
        for await (const each of channel.stream(method, [request], call)) response ??= each;
        if (response !== undefined) return response;
        throw new MicroError(
          "unavailable",
          `${channel.address} ended the stream without a response`,
        );
      });
    } catch (error) {
      throw etcdFailure(error, what);
    }
  }

  /**
   * Opens a stream, which ends with the connection or the signal, or when the member loses its
   * leader.
   * @throws MicroError as {@link open}; the iteration throws the error that ended the stream.
   */
  async stream<I extends DescMessage, O extends DescMessage>(
    method: EtcdMethod<I, O>,
    requests: AsyncIterable<MessageInitShape<I>>,
    signal: AbortSignal,
  ): Promise<{ readonly responses: AsyncIterable<MessageShape<O>>; readonly suspect: Suspect }> {
    const connected = await untilAborted(this.#current(), signal);
    await this.#authenticate(connected.channel, signal);
    const call = this.#outgoing(Number.POSITIVE_INFINITY, signal);
    const responses = connected.channel.stream(method, requests, call);
    return {
      responses: noting(responses, () => {
        connected.heardAt = performance.now();
      }),
      suspect: (reason) => this.#giveUp(connected, reason),
    };
  }

  /** Discards a token that etcd refused, so that the next call gets another one. */
  refuseToken(): void {
    this.#token = undefined;
  }

  protected override async closeOnce(): Promise<void> {
    this.#closing.abort(linkClosed());
    this.#connectedListeners.clear();
    await this.#connecting?.catch(() => {});
    await this.#reconnecting;
    await this.#connected?.channel.close();
  }

  async #attempt<I extends DescMessage, O extends DescMessage, R>(
    method: EtcdMethod<I, O>,
    signal: AbortSignal | undefined,
    send: (channel: Channel, call: OutgoingCall) => Promise<R>,
  ): Promise<R> {
    const ends = deadlineAfter(this.timeoutMs);
    const attempts = Math.max(2, this.#endpoints.length);
    let reauthenticated = false;
    let failed: unknown;
    for (let attempt = 1; ; attempt++) {
      const connected = await this.#currentUntil(ends, signal, failed);
      throwIfAborted(signal);
      // Each member gets a part of the time, so that a silent one leaves some for the next.
      const sentAt = performance.now();
      const left = ends - sentAt;
      const share = attempt < this.#endpoints.length ? Math.max(left / 2, 1_000) : left;
      const deadline = deadlineAfter(Math.max(share, 1));
      let token: string | undefined;
      try {
        await this.#authenticate(connected.channel, signal);
        token = this.#token;
        const response = await send(connected.channel, this.#outgoing(deadline, signal));
        connected.heardAt = performance.now();
        return response;
      } catch (reason) {
        if (signal?.aborted === true) throw reason;
        const error = this.#isAbandoned(connected) ? asAbandoned(reason) : reason;
        if (isTokenRefused(error) && token !== undefined && !reauthenticated) {
          reauthenticated = true;
          // Another request may have obtained a new one meanwhile.
          if (this.#token === token) this.#token = undefined;
          continue;
        }
        if (!isMemberFault(error)) throw error;
        const failure = etcdFailure(error, `use etcd at ${connected.endpoint}`);
        // A member that responds to other requests is only slow; leaving it would make that worse.
        const isSlow = failure.code === "deadline_exceeded" && connected.heardAt > sentAt;
        if (!isSlow) this.#giveUp(connected, failure);
        const mayRepeat = failure.outcome === "not-executed" || method.idempotency !== "unknown";
        if (!mayRepeat || attempt >= attempts || performance.now() >= ends) throw error;
        failed = error;
      }
    }
  }

  /** Whether the failure of another request has made us leave this member. */
  #isAbandoned(connected: Connected): boolean {
    return this.#connected !== connected && !this.#closing.signal.aborted;
  }

  #outgoing(deadline: number, signal: AbortSignal | undefined): OutgoingCall {
    const metadata = new Metadata({
      // A member that is cut off from the others then ends streams instead of staying silent.
      hasleader: "true",
      ...(this.#token ? { token: this.#token } : {}),
    });
    return { deadline, metadata, signal, responseMetadata: undefined, trailers: undefined };
  }

  /**
   * The current connection. Where there was one before, the next one is awaited until `ends`.
   * @param failed the error if there is none by then.
   */
  async #currentUntil(
    ends: number,
    signal: AbortSignal | undefined,
    failed: unknown,
  ): Promise<Connected> {
    const isOpen = this.#connected?.channel.state === "open";
    if (isOpen || !this.#wasConnected) return untilAborted(this.#current(), signal);
    const limit = AbortSignal.timeout(Math.ceil(Math.max(ends - performance.now(), 1)));
    try {
      return await untilAborted(this.#current(), [signal, limit]);
    } catch (error) {
      if (!limit.aborted || signal?.aborted === true) throw error;
      throw (
        failed ??
        asMicroError(new Error(`no member of ${this.endpoints}`), "unavailable", {
          outcome: "not-executed",
        })
      );
    }
  }

  /** The current connection, or the next one. */
  async #current(): Promise<Connected> {
    if (this.#closing.signal.aborted) throw linkClosed();
    if (this.#connected?.channel.state === "open") return this.#connected;
    this.#waitsUntil ??=
      performance.now() + (this.#options.startTimeoutMs ?? defaultStartTimeoutMs);
    this.#connecting ??= this.#connect().finally(() => {
      this.#connecting = undefined;
    });
    return this.#connecting;
  }

  async #connect(): Promise<Connected> {
    for (let failures = 1; ; failures++) {
      try {
        return await this.#connectOnce();
      } catch (error) {
        const failure = etcdFailure(error, `connect to etcd at ${this.endpoints}`);
        this.#report("lost", failure);
        const waitMs = backoffMs(backoff, failures, Math.random);
        const leftMs = (this.#waitsUntil ?? 0) - performance.now();
        const final = !isMemberFault(failure) || this.#wasConnected || leftMs < waitMs;
        if (final || this.#closing.signal.aborted) throw failure;
        await pauseUntilAborted(waitMs, this.#closing.signal);
      }
    }
  }

  /** Tries every endpoint once, beginning with the next one. */
  async #connectOnce(): Promise<Connected> {
    let failure: unknown;
    for (let tried = 0; tried < this.#endpoints.length; tried++) {
      throwIfAborted(this.#closing.signal);
      const endpoint = this.#endpoints[this.#next] as string;
      try {
        const connected = await this.#dial(endpoint);
        this.#adopt(connected);
        return connected;
      } catch (error) {
        failure = error;
        this.#next = (this.#next + 1) % this.#endpoints.length;
      }
    }
    throw failure;
  }

  /** Connects to a member, and checks that it has a leader and accepts our user. */
  async #dial(endpoint: string): Promise<Connected> {
    const signal = this.#closing.signal;
    const channel = await this.#transport.dial(endpoint, { signal });
    try {
      await this.#authenticate(channel, signal);
      await this.#probe(channel, signal);
      throwIfAborted(signal);
      return { channel, endpoint, heardAt: performance.now() };
    } catch (error) {
      await channel.close();
      throw error;
    }
  }

  /** A read that needs a quorum. A permission error is proof enough. */
  async #probe(channel: Channel, signal: AbortSignal): Promise<void> {
    const request = { key: new Uint8Array([0]), countOnly: true };
    try {
      await channel.unary(range, request, this.#outgoing(deadlineAfter(this.timeoutMs), signal));
    } catch (error) {
      const { code } = etcdFailure(error, "probe");
      if (code === "permission_denied") return;
      if (!isTokenRefused(error) || this.#options.user === undefined) throw error;
      this.#token = undefined;
      await this.#authenticate(channel, signal);
    }
  }

  #adopt(connected: Connected): void {
    const again = this.#wasConnected;
    this.#connected = connected;
    this.#wasConnected = true;
    this.status.set("healthy");
    void connected.channel.closed.then((reason) => {
      const why = reason ?? new MicroError("unavailable", "the connection was closed");
      this.#giveUp(connected, etcdFailure(why, `use etcd at ${connected.endpoint}`));
    });
    if (!again) return;
    for (const listener of [...this.#connectedListeners]) listener();
  }

  /** Abandons a failing member, and connects to the next one. */
  #giveUp(connected: Connected, reason: MicroError): void {
    if (this.#connected !== connected) return;
    this.#connected = undefined;
    this.#next = (this.#next + 1) % this.#endpoints.length;
    void connected.channel.close();
    if (this.#closing.signal.aborted) return;
    this.#report("lost", reason);
    this.#reconnecting ??= this.#reconnect().finally(() => {
      this.#reconnecting = undefined;
    });
  }

  async #reconnect(): Promise<void> {
    const { signal } = this.#closing;
    for (let failures = 1; !signal.aborted && !this.connected; failures++) {
      // The first wait is short: another member may be available. It is random because all clients
      // of a member that died reconnect at once.
      await pauseUntilAborted(
        failures === 1 ? Math.random() * 100 : backoffMs(backoff, failures, Math.random),
        signal,
      );
      if (!signal.aborted) await this.#current().catch(() => {});
    }
  }

  #report(state: "degraded" | "lost", failure: MicroError): void {
    if (this.#closing.signal.aborted) return;
    if (this.status.state === state) this.status.explain(failure);
    else this.status.set(state, failure);
  }

  /** One at a time: etcd's password check is slow on purpose. */
  async #authenticate(channel: Channel, signal: AbortSignal | undefined): Promise<void> {
    if (this.#options.user === undefined || this.#token !== undefined) return;
    this.#authenticating ??= this.#authenticateNow(channel).finally(() => {
      this.#authenticating = undefined;
    });
    await untilAborted(this.#authenticating, signal);
  }

  async #authenticateNow(channel: Channel): Promise<void> {
    const { user = "", password = "" } = this.#options;
    const call = this.#outgoing(deadlineAfter(this.timeoutMs), this.#closing.signal);
    try {
      this.#token = (await channel.unary(authenticate, { name: user, password }, call)).token;
    } catch (error) {
      const { code } = etcdFailure(error, "authenticate");
      // Authentication is disabled in this cluster, so everything is allowed.
      if (code === "failed_precondition") {
        this.#token = "";
        return;
      }
      if (code === "invalid_argument") {
        throw new MicroError(
          "unauthenticated",
          `cannot authenticate at etcd as ${user}: check user and password`,
          { outcome: "not-executed", cause: error },
        );
      }
      throw error;
    }
  }
}

/** Reports that a connection does not work, so that another one is made. */
export type Suspect = (reason: MicroError) => void;

async function* noting<T>(responses: AsyncIterable<T>, onResponse: () => void): AsyncGenerator<T> {
  for await (const response of responses) {
    onResponse();
    yield response;
  }
}

/**
 * Leaving a member cancels its other requests. Their callers did not ask for that, so they fail as
 * the member did, and are sent to another one where they may be repeated.
 */
function asAbandoned(error: unknown): unknown {
  const { code, message, outcome } = asMicroError(error);
  if (code !== "canceled") return error;
  return new MicroError("unavailable", message, { outcome, cause: error });
}

function linkClosed(): MicroError {
  return new MicroError("unavailable", "cannot use etcd: the connection is closed", {
    outcome: "not-executed",
  });
}
