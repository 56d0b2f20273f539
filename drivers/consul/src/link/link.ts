import { asMicroError, type BackendState, MicroError } from "@micro-es/runtime";
import {
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
import { consulFailure, isAgentFault, statusFailure } from "./failure.ts";
import { HttpClient, type HttpResponse } from "./http.ts";
import {
  type AgentAddress,
  agentAddress,
  type ConsulOptions,
  consulKinds,
  defaultStartTimeoutMs,
  defaultTimeoutMs,
} from "./options.ts";

const backoff: Backoff = { firstMs: 100, factor: 2, mostMs: 1_000, jitter: 0.5 };
/** A server that was cut off from the others for longer is not read from. */
const longestStaleMs = 5_000;

/** A request to the agent. */
export interface ConsulCall {
  /** Default GET. */
  readonly method?: "GET" | "PUT";
  /** Below `/v1/`, with its parts percent-encoded: `health/service/greeter`. */
  readonly path: string;
  readonly query?: Readonly<Record<string, string | undefined>>;
  /** Sent as JSON. */
  readonly body?: unknown;
  /**
   * Makes it a blocking query: the response comes when the index moves beyond this one, or after
   * about this time in milliseconds.
   */
  readonly block?: { readonly index: number; readonly waitMs: number };
  /** Whether any server may respond, even with what is a moment old; otherwise the leader does. */
  readonly stale?: boolean;
  /** Statuses, beyond 200, that are responses and no failures. */
  readonly accepts?: (status: number, text: string) => boolean;
  /** Whether it must not be sent twice, not even on a connection that had been closed. */
  readonly onlyOnce?: boolean;
}

export interface ConsulResponse {
  readonly status: number;
  /** The index of what was read; 0 if the response has none. */
  readonly index: number;
  readonly text: string;
}

/**
 * The connections to a Consul agent that the parts of a process share. They open on first use,
 * which waits for an agent that is not up yet. The agent is asked for its leader regularly, and
 * after a failure until it has one.
 */
export class ConsulLink extends Closable {
  readonly status: BackendStatus = new BackendStatus();
  readonly timeoutMs: number;
  /** As the query parameter `dc`; undefined for the agent's own. */
  readonly datacenter: string | undefined;
  readonly #options: ConsulOptions;
  readonly #address: AgentAddress;
  readonly #http: HttpClient;
  readonly #closing: AbortController = sharedAbortController();
  readonly #connectedListeners = new Set<() => void>();
  /** Aborted when the agent is lost, which ends blocking queries; undefined while it is lost. */
  #session: AbortController | undefined;
  #failure: MicroError | undefined;
  #connecting: Promise<void> | undefined;
  #reconnecting: Promise<void> | undefined;
  /** The session whose agent is asked for its leader. */
  #doubted: AbortController | undefined;
  #doubting: Promise<void> | undefined;
  #heartbeat: NodeJS.Timeout | undefined;
  /** Until when the first use waits; undefined before it. */
  #waitsUntil: number | undefined;

  constructor(options: ConsulOptions = {}) {
    super();
    checkOptions("ConsulLink", options, consulKinds);
    this.#options = options;
    this.#address = agentAddress(options);
    this.#http = new HttpClient(this.#address, options.tls);
    this.timeoutMs = options.timeoutMs ?? defaultTimeoutMs;
    this.datacenter = options.datacenter;
  }

  get state(): BackendState {
    return this.status.state;
  }

  get closed(): boolean {
    return this.isClosing;
  }

  /** Whether the agent responded, and had a leader, when it was last asked. */
  get connected(): boolean {
    return this.#session !== undefined;
  }

  /** How long a blocking query lasts, in milliseconds. */
  get waitMs(): number {
    return 6 * this.timeoutMs;
  }

  /** Calls the listener after each reconnection, until the returned function is called. */
  onReconnect(listener: () => void): () => void {
    this.#connectedListeners.add(listener);
    return () => this.#connectedListeners.delete(listener);
  }

  /** Resolves when there is a connection, or when the signal fires. Never rejects. */
  async untilConnected(signal: AbortSignal): Promise<void> {
    if (this.connected) return;
    await waitUntilAborted([signal, this.#closing.signal], (done) => this.onReconnect(done));
  }

  /**
   * Waits for the agent. Until `startTimeoutMs` after the first call it waits for it to come up and
   * have a leader. After that, or once it had been available, it fails immediately while it is not.
   * @throws MicroError `unavailable`, or what the agent refuses the token with.
   */
  async open(signal?: AbortSignal): Promise<void> {
    await untilAborted(this.#current(), signal);
  }

  /**
   * Sends a request to the agent.
   * @param what the attempted operation, for messages: "register greeter-1".
   * @throws MicroError `unavailable`, `deadline_exceeded`, or the error that Consul responded with.
   */
  async call(call: ConsulCall, what: string, signal?: AbortSignal): Promise<ConsulResponse> {
    try {
      const session = await untilAborted(this.#current(), signal);
      throwIfAborted(signal);
      return await this.#send(call, session, signal);
    } catch (error) {
      throw consulFailure(error, what);
    }
  }

  protected override async closeOnce(): Promise<void> {
    this.#closing.abort(linkClosed());
    clearInterval(this.#heartbeat);
    this.#connectedListeners.clear();
    this.#session?.abort(linkClosed());
    this.#session = undefined;
    await this.#connecting?.catch(() => {});
    await this.#reconnecting;
    await this.#doubting;
    this.#http.close();
  }

  async #send(
    call: ConsulCall,
    session: AbortController,
    signal: AbortSignal | undefined,
  ): Promise<ConsulResponse> {
    try {
      const response = await this.#exchange(call, [signal, session.signal]);
      const { status, text } = response;
      if (status !== 200 && call.accepts?.(status, text) !== true) {
        const failure = statusFailure(response);
        // The agent works; whether its servers do, it is asked.
        if (isAgentFault(failure)) this.#doubt(session);
        throw new Refusal(failure);
      }
      if (call.stale === true) requireFresh(response);
      return { status, text, index: indexOf(response) };
    } catch (error) {
      if (error instanceof Refusal) throw error.failure;
      if (signal?.aborted !== true && isAgentFault(error)) {
        // An agent that responds to other requests is only slow.
        if (asMicroError(error).code === "deadline_exceeded") this.#doubt(session);
        else this.#lose(session, consulFailure(error, `use Consul at ${this.#address.url}`));
      }
      throw error;
    }
  }

  #exchange(
    call: ConsulCall,
    signals: readonly (AbortSignal | undefined)[],
  ): Promise<HttpResponse> {
    const { method = "GET", path, query, body, block, stale } = call;
    const parameters = Object.entries({
      ...query,
      ...(stale === true ? { stale: "" } : {}),
      ...(block === undefined ? {} : { index: `${block.index}`, wait: `${block.waitMs}ms` }),
    }).flatMap(([name, value]) =>
      value === undefined ? [] : [`${name}=${encodeURIComponent(value)}`],
    );
    const { token } = this.#options;
    const request = {
      method,
      path: `/v1/${path}${parameters.length === 0 ? "" : `?${parameters.join("&")}`}`,
      headers: token === undefined ? {} : { "x-consul-token": token },
      body: body === undefined ? undefined : JSON.stringify(body),
      // Consul adds up to a sixteenth to a wait, so that not all clients come back at once.
      timeoutMs: this.timeoutMs + (block === undefined ? 0 : (block.waitMs * 17) / 16),
      signals: [...signals, this.#closing.signal],
      mayRepeat: call.onlyOnce !== true,
    };
    return this.#http.send(request, block !== undefined);
  }

  async #current(): Promise<AbortController> {
    if (this.#closing.signal.aborted) throw linkClosed();
    if (this.#session !== undefined) return this.#session;
    // While this is lost, what needs the agent fails, unless it is the first use.
    if (this.#reconnecting !== undefined) throw this.#failure ?? linkClosed();
    this.#waitsUntil ??=
      performance.now() + (this.#options.startTimeoutMs ?? defaultStartTimeoutMs);
    this.#connecting ??= this.#connect().finally(() => {
      this.#connecting = undefined;
    });
    await this.#connecting;
    return await this.#current();
  }

  /** Connects for the first time. */
  async #connect(): Promise<void> {
    const { signal } = this.#closing;
    for (let failures = 1; ; failures++) {
      try {
        await this.#probe();
        this.#adopt();
        return;
      } catch (error) {
        const failure = consulFailure(error, `use Consul at ${this.#address.url}`);
        this.#report(failure);
        const waitMs = backoffMs(backoff, failures, Math.random);
        const leftMs = (this.#waitsUntil ?? 0) - performance.now();
        if (!isAgentFault(failure) || leftMs < waitMs || signal.aborted) {
          this.#reconnectSoon();
          throw failure;
        }
        await pauseUntilAborted(waitMs, signal);
        throwIfAborted(signal);
      }
    }
  }

  /** @throws MicroError when the agent does not respond, or its servers have no leader. */
  async #probe(): Promise<void> {
    const response = await this.#exchange({ path: "status/leader" }, []);
    if (response.status !== 200) throw statusFailure(response);
    if (response.text.trim().length > 2) return;
    throw new MicroError("unavailable", "Consul's servers have no leader", {
      outcome: "not-executed",
    });
  }

  #adopt(): void {
    throwIfAborted(this.#closing.signal);
    // Each blocking query listens to it.
    const session = sharedAbortController();
    this.#session = session;
    // Blocking queries say nothing for long, even when the agent or its leader is gone.
    this.#heartbeat = setInterval(() => this.#doubt(session), this.timeoutMs);
    this.#heartbeat.unref();
    this.#failure = undefined;
    this.status.set("healthy");
    for (const listener of [...this.#connectedListeners]) listener();
  }

  /** Asks the agent for its leader, once at a time, and gives up where it has none. */
  #doubt(session: AbortController): void {
    if (this.#doubted === session) return;
    this.#doubted = session;
    this.#doubting = this.#probe()
      .catch((error: unknown) => {
        this.#lose(session, consulFailure(error, `use Consul at ${this.#address.url}`));
      })
      .finally(() => {
        this.#doubted = undefined;
      });
  }

  #lose(session: AbortController, reason: MicroError): void {
    if (this.#session !== session || this.#closing.signal.aborted) return;
    this.#session = undefined;
    clearInterval(this.#heartbeat);
    this.#report(reason);
    session.abort(reason);
    this.#reconnectSoon();
  }

  #reconnectSoon(): void {
    if (this.#closing.signal.aborted) return;
    this.#reconnecting ??= this.#reconnect();
  }

  async #reconnect(): Promise<void> {
    const { signal } = this.#closing;
    for (let failures = 1; !signal.aborted; failures++) {
      // The first wait is short: the agent may only have ended a connection.
      const waitMs =
        failures === 1 ? Math.random() * 50 : backoffMs(backoff, failures, Math.random);
      await pauseUntilAborted(waitMs, signal);
      if (signal.aborted) return;
      try {
        await this.#probe();
        this.#reconnecting = undefined;
        this.#adopt();
        return;
      } catch (error) {
        this.#report(consulFailure(error, `use Consul at ${this.#address.url}`));
      }
    }
  }

  #report(failure: MicroError): void {
    if (this.#closing.signal.aborted) return;
    // Calls that fail with it meanwhile were not sent.
    this.#failure = new MicroError("unavailable", failure.message, {
      outcome: "not-executed",
      cause: failure,
    });
    if (this.status.state === "lost") this.status.explain(failure);
    else this.status.set("lost", failure);
  }
}

/** An error that the agent responded with. */
class Refusal extends Error {
  readonly failure: MicroError;

  constructor(failure: MicroError) {
    super(failure.message);
    this.failure = failure;
  }
}

/** @throws MicroError `unavailable` when the server that responded is cut off from the leader. */
function requireFresh({ headers }: HttpResponse): void {
  // Agents from 1.10 on respond from a stream of changes, and then never report a leader.
  const isStreamed = headers["x-consul-query-backend"] === "streaming";
  const knowsLeader = isStreamed || headers["x-consul-knownleader"] !== "false";
  const lastContactMs = Number(headers["x-consul-lastcontact"] ?? 0);
  if (knowsLeader && !(lastContactMs > longestStaleMs)) return;
  throw new MicroError("unavailable", "Consul responded from a server that is cut off", {
    outcome: "not-executed",
  });
}

function indexOf({ headers }: HttpResponse): number {
  const index = Number(headers["x-consul-index"] ?? 0);
  return Number.isSafeInteger(index) && index > 0 ? index : 0;
}

function linkClosed(): MicroError {
  return new MicroError("unavailable", "cannot use Consul: the connection is closed", {
    outcome: "not-executed",
  });
}
