import type { Backoff } from "../backoff.ts";
import { monotonicNow, turnNow } from "../deadline.ts";
import { asMicroError, MicroError } from "../error.ts";
import { type Logger, silentLogger } from "../logger.ts";
import type { AnyMethod, Method, MethodKind, RetryPolicy } from "../method.ts";
import type { NodeFilter, Selector } from "../selector/selector.ts";
import type { Transport } from "../transport/transport.ts";
import { Attempts } from "./attempts.ts";
import { alreadyLate, cancelled, clientClosed, notOneAnswer, wrongKind } from "./call-error.ts";
import { callDeadline, callMetadata, callOptions } from "./call-options.ts";
import { ChannelPool } from "./channel-pool.ts";
import type { CallOptions, Client, ClientInterceptor } from "./client.ts";
import { aroundStream, aroundUnary, type StreamCaller, type UnaryCaller } from "./interceptors.ts";
import { LinkedSignal } from "./linked-signal.ts";
import { intercepted, isObserved, observed, observedStream } from "./observed-call.ts";
import { OpenCalls } from "./open-calls.ts";
import { OutboundCall } from "./outbound-call.ts";
import { defaultRetryBudget, RetryBudget, type RetryBudgetOptions } from "./retry-budget.ts";
import { StreamCall } from "./stream-call.ts";
import { Waits } from "./waits.ts";

/** What a client is made of. What is given stays the giver's: the client closes its connections only. */
export interface ClientParts {
  readonly selector: Selector;
  /** The first that speaks a node's protocol and accepts its address is taken. */
  readonly transports: readonly Transport[];
  /** Time for a call that says nothing else, in milliseconds; over the schema's. Default: the schema's, or 30,000. */
  readonly timeoutMs?: number;
  /** Stand around every call, the first outermost. */
  readonly interceptors?: readonly ClientInterceptor[];
  /** Over the schema's policies; `false` turns retries off. */
  readonly retry?: Partial<RetryPolicy> | false;
  /** How many retries the calls to one service may cause; `false`: any number. */
  readonly retryBudget?: Partial<RetryBudgetOptions> | false;
  /** Nodes that calls may go to, beside what each call says. */
  readonly filters?: readonly NodeFilter[];
  /** Connections to one node; another is opened when there are over a thousand calls on each. Default 1. */
  readonly maxConnectionsPerNode?: number;
  /** Addresses that are connected to at once. Default 4,096. */
  readonly maxAddresses?: number;
  /** Time for opening a connection, in milliseconds; then another node is tried. Default 5,000. */
  readonly dialTimeoutMs?: number;
  /** Waits between dials of an address that fail. Default: 1 s, times 1.6, up to 120 s, ±20 %. */
  readonly reconnect?: Partial<Backoff>;
  /** Connections that were not used for this long are closed, in milliseconds. Default 300,000. */
  readonly idleMs?: number;
  /** Default: none. */
  readonly logger?: Logger;
  /** Chance in waits, from 0 up to but without 1. Default `Math.random`. */
  readonly random?: () => number;
  /** Closed after the client, in this order; for whoever made them for this client alone. */
  readonly owned?: readonly { close(): Promise<void> }[];
}

/** As gRPC's connection backoff protocol. */
const defaultReconnect: Backoff = { firstMs: 1_000, factor: 1.6, mostMs: 120_000, jitter: 0.2 };

/** Services and addresses whose retry budgets are kept. */
const maxBudgets = 1_024;

/** A client of these parts; `createClient` knows good ones. */
export function buildClient(parts: ClientParts): Client {
  return new RpcClient(parts);
}

class RpcClient implements Client {
  readonly #timeoutMs: number | undefined;
  readonly #pool: ChannelPool;
  readonly #waits = new Waits();
  readonly #attempts: Attempts;
  readonly #unary: UnaryCaller;
  readonly #stream: StreamCaller;
  readonly #intercepted: boolean;
  readonly #logger: Logger;
  readonly #filters: readonly NodeFilter[];
  /** The client's filters and a call's as one, by the array that the call gives. */
  readonly #joined = new WeakMap<readonly NodeFilter[], readonly NodeFilter[]>();
  readonly #budgets = new Map<string, RetryBudget>();
  readonly #budget: RetryBudgetOptions;
  readonly #unfollow: () => void;
  readonly #owned: NonNullable<ClientParts["owned"]>;
  readonly #open = new OpenCalls();
  #closing: Promise<void> | undefined;

  constructor(parts: ClientParts) {
    const random = parts.random ?? Math.random;
    this.#logger = parts.logger ?? silentLogger;
    this.#timeoutMs = parts.timeoutMs;
    this.#owned = parts.owned ?? [];
    this.#pool = new ChannelPool({
      transports: parts.transports,
      maxConnections: parts.maxConnectionsPerNode ?? 1,
      maxAddresses: parts.maxAddresses ?? 4_096,
      dialTimeoutMs: parts.dialTimeoutMs ?? 5_000,
      reconnect: { ...defaultReconnect, ...parts.reconnect },
      idleMs: parts.idleMs ?? 300_000,
      logger: this.#logger,
      random,
    });
    this.#unfollow = parts.selector.onNodeChange(this.#pool.nodeChanged);
    const speaks: NodeFilter = (node) => this.#pool.speaks(node);
    Object.defineProperty(speaks, "name", { value: `spoken by ${names(parts.transports)}` });
    this.#filters = [speaks, ...(parts.filters ?? [])];
    const unlimited = { ratio: 0, perSecond: Number.MAX_VALUE, most: Number.MAX_VALUE };
    this.#budget =
      parts.retryBudget === false ? unlimited : { ...defaultRetryBudget, ...parts.retryBudget };
    this.#attempts = new Attempts({
      selector: parts.selector,
      pool: this.#pool,
      waits: this.#waits,
      open: this.#open,
      retry: parts.retry,
      logger: this.#logger,
      random,
    });
    const interceptors = parts.interceptors ?? [];
    this.#intercepted = interceptors.length > 0;
    this.#unary = aroundUnary(interceptors, (call, request) => this.#attempts.unary(call, request));
    this.#stream = aroundStream(interceptors, (call, requests) => ({
      [Symbol.asyncIterator]: () => new StreamCall(call, requests, this.#attempts, this.#open),
    }));
  }

  unary<I, IInit, O, OInit>(
    method: Method<I, IInit, O, OInit>,
    request: IInit,
    options?: CallOptions,
  ): Promise<O> {
    let call: OutboundCall;
    try {
      call = this.#begin(method as unknown as AnyMethod, "unary", options);
    } catch (reason) {
      return Promise.reject(asMicroError(reason, "internal"));
    }
    const answer = this.#answer(call, request) as Promise<O>;
    if (isObserved(call.options)) return observed(call, answer);
    return this.#intercepted ? intercepted(call, answer) : answer;
  }

  serverStream<I, IInit, O, OInit>(
    method: Method<I, IInit, O, OInit>,
    request: IInit,
    options?: CallOptions,
  ): AsyncIterable<O> {
    return this.#streaming(method, "server_streaming", [request], options);
  }

  async clientStream<I, IInit, O, OInit>(
    method: Method<I, IInit, O, OInit>,
    requests: AsyncIterable<IInit> | Iterable<IInit>,
    options?: CallOptions,
  ): Promise<O> {
    const answers = this.#streaming(method, "client_streaming", requests, options);
    const iterator = answers[Symbol.asyncIterator]();
    const first = await iterator.next();
    if (first.done === true) throw notOneAnswer(method.name, method.service, "no message");
    const second = await iterator.next();
    if (second.done === true) return first.value;
    await iterator.return?.();
    throw notOneAnswer(method.name, method.service, "several messages");
  }

  bidi<I, IInit, O, OInit>(
    method: Method<I, IInit, O, OInit>,
    requests: AsyncIterable<IInit> | Iterable<IInit>,
    options?: CallOptions,
  ): AsyncIterable<O> {
    return this.#streaming(method, "bidi_streaming", requests, options);
  }

  close(graceMs = 0): Promise<void> {
    this.#closing ??= this.#close(graceMs);
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #answer(call: OutboundCall, request: unknown): Promise<unknown> {
    if (!this.#intercepted) return this.#attempts.unary(call, request);
    try {
      return Promise.resolve(this.#unary(call, request));
    } catch (reason) {
      return Promise.reject(reason);
    }
  }

  /** @throws MicroError when the call must not even begin. */
  #begin(method: AnyMethod, kind: MethodKind, given: CallOptions | undefined): OutboundCall {
    if (this.#closing !== undefined) throw clientClosed(method.name);
    if (method.kind !== kind) throw wrongKind(method, kind);
    const options = callOptions(given);
    const { context, address } = options;
    const target = address ?? options.service ?? method.service;
    // Thirty seconds that nobody asked for need no look at the clock of their own.
    const timed = options.timeoutMs !== undefined || options.deadline !== undefined;
    const beganAt = timed ? monotonicNow() : turnNow();
    const deadline = callDeadline(method, options, this.#timeoutMs, beganAt);
    if (deadline <= beganAt) throw alreadyLate(method.name, target);
    let signal = options.signal ?? context?.signal;
    if (signal?.aborted === true || context?.signal.aborted === true) {
      const reason = signal?.aborted === true ? signal.reason : context?.signal.reason;
      throw cancelled(reason, `before ${method.name} on ${target} was called`, "not-executed");
    }
    let linked: LinkedSignal | undefined;
    if (options.signal !== undefined && context !== undefined) {
      linked = new LinkedSignal(options.signal, context.signal);
      signal = linked.signal;
    }
    return new OutboundCall(
      method,
      options,
      target,
      beganAt,
      deadline,
      callMetadata(options.metadata, context),
      signal,
      linked,
      options.filters === undefined ? this.#filters : this.#join(options.filters),
      this.#budgets.get(target) ?? this.#newBudget(target),
    );
  }

  #streaming<I, IInit, O, OInit>(
    method: Method<I, IInit, O, OInit>,
    kind: MethodKind,
    requests: AsyncIterable<IInit> | Iterable<IInit>,
    options: CallOptions | undefined,
  ): AsyncIterable<O> {
    return {
      [Symbol.asyncIterator]: () => {
        try {
          const call = this.#begin(method as unknown as AnyMethod, kind, options);
          const answers = this.#stream(call, requests) as AsyncIterable<O>;
          const plain = !this.#intercepted && !isObserved(call.options);
          return plain ? answers[Symbol.asyncIterator]() : observedStream(call, answers);
        } catch (reason) {
          const error = asMicroError(reason, "unknown");
          return { next: () => Promise.reject(error) };
        }
      },
    };
  }

  async #close(graceMs: number): Promise<void> {
    await this.#open.wait(graceMs);
    this.#unfollow();
    this.#waits.close(
      new MicroError("canceled", "the client was closed", { outcome: "not-executed" }),
    );
    await this.#pool.close(0);
    for (const part of this.#owned) await part.close();
  }

  #join(filters: readonly NodeFilter[]): readonly NodeFilter[] {
    let joined = this.#joined.get(filters);
    if (joined === undefined) {
      joined = [...this.#filters, ...filters];
      this.#joined.set(filters, joined);
    }
    return joined;
  }

  #newBudget(target: string): RetryBudget {
    if (this.#budgets.size >= maxBudgets) {
      for (const oldest of this.#budgets.keys()) {
        this.#budgets.delete(oldest);
        break;
      }
    }
    const budget = new RetryBudget(this.#budget, monotonicNow);
    this.#budgets.set(target, budget);
    return budget;
  }
}

function names(transports: readonly Transport[]): string {
  return transports.map(({ name }) => name).join(" or ") || "no transport";
}
