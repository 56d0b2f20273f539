import type { Backoff } from "../base/backoff.ts";
import { Closable } from "../base/closable.ts";
import { monotonicNow, turnNow } from "../base/deadline.ts";
import { asMicroError, MicroError, messageOf } from "../base/error.ts";
import { LinkedSignal } from "../base/linked-signal.ts";
import { type Logger, silentLogger } from "../base/logger.ts";
import { Metadata } from "../base/metadata.ts";
import { checkOptions } from "../base/option-check.ts";
import { PartLogger } from "../base/part-logger.ts";
import { closeInOrder, closeWithin, partName } from "../base/settle-all.ts";
import type { AnyMethod, Method, MethodKind } from "../call/method.ts";
import type { NodeFilter, Selector } from "../selector/selector.ts";
import { CredentialPolicy } from "../transport/credential-policy.ts";
import type { Transport } from "../transport/transport.ts";
import { Attempts } from "./attempts.ts";
import { CallCredentials } from "./call-credentials.ts";
import { alreadyLate, cancelled, clientClosed, notOneResponse, wrongKind } from "./call-error.ts";
import { callDeadline, callMetadata, callOptions, checkCallOptions } from "./call-options.ts";
import { CancellableWaits } from "./cancellable-wait.ts";
import { ChannelPool } from "./channel-pool.ts";
import { checkRequests, noRequest } from "./check-requests.ts";
import type { CallOptions, Client } from "./client.ts";
import type { ClientParts } from "./client-parts.ts";
import {
  aroundStream,
  aroundUnary,
  clientInterceptors,
  type StreamCaller,
  type UnaryCaller,
} from "./interceptors.ts";
import { intercepted, isObserved, observed, observedStream } from "./observed-call.ts";
import { OpenCalls } from "./open-calls.ts";
import { clientPartKinds } from "./option-kinds.ts";
import { OutboundCall } from "./outbound-call.ts";
import { defaultRetryBudget, RetryBudget, type RetryBudgetOptions } from "./retry-budget.ts";
import { StreamCall } from "./stream-call.ts";

export type { ClientParts } from "./client-parts.ts";

/** Time limit for closing a part of a client, in milliseconds; as in a service. */
const partingMs = 2_000;

/** As in gRPC's connection backoff protocol. */
const defaultReconnect: Backoff = { firstMs: 1_000, factor: 1.6, mostMs: 120_000, jitter: 0.2 };

/** Maximum number of services and addresses whose retry budgets are kept. */
const maxBudgets = 1_024;

/** Creates a client from these parts; `createClient` provides good defaults. */
export function buildClient(parts: ClientParts): Client {
  checkOptions("buildClient", parts, clientPartKinds);
  return new RpcClient(parts);
}

class RpcClient extends Closable<[graceMs?: number]> implements Client {
  readonly #timeoutMs: number | undefined;
  readonly #pool: ChannelPool;
  readonly #waits = new CancellableWaits();
  readonly #attempts: Attempts;
  readonly #unary: UnaryCaller;
  readonly #stream: StreamCaller;
  readonly #intercepted: boolean;
  readonly #logger: PartLogger;
  readonly #selector: Selector;
  readonly #filters: readonly NodeFilter[];
  /** The client's filters combined with a call's, by the call's array. */
  readonly #joined = new WeakMap<readonly NodeFilter[], readonly NodeFilter[]>();
  readonly #budgets = new Map<string, RetryBudget>();
  readonly #budget: RetryBudgetOptions;
  readonly #unfollow: () => void;
  readonly #owned: NonNullable<ClientParts["owned"]>;
  readonly #open = new OpenCalls();

  constructor(parts: ClientParts) {
    super();
    const random = parts.random ?? Math.random;
    this.#logger = new PartLogger(parts.logger, silentLogger);
    this.#selector = parts.selector;
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
      credentials: new CallCredentials(
        parts.credentials,
        new CredentialPolicy(parts.credentialPolicy),
        this.#pool,
        this.#waits,
      ),
      retry: parts.retry,
      logger: this.#logger,
      random,
    });
    const interceptors = clientInterceptors(parts.interceptors);
    this.#intercepted = interceptors.length > 0;
    this.#unary = aroundUnary(interceptors, (call, request) => this.#attempts.unary(call, request));
    this.#stream = aroundStream(interceptors, (call, requests) => ({
      [Symbol.asyncIterator]: () => new StreamCall(call, requests, this.#attempts, this.#open),
    }));
  }

  useLogger(logger: Logger): void {
    this.#logger.use(logger);
    this.#selector.useLogger?.(logger);
  }

  unary<I, IInit, O, OInit>(
    method: Method<I, IInit, O, OInit>,
    request: IInit,
    options?: CallOptions,
  ): Promise<O> {
    let call: OutboundCall;
    try {
      if (typeof request !== "object" || request === null) throw noRequest(method.name, request);
      call = this.#begin(method as unknown as AnyMethod, "unary", options);
    } catch (reason) {
      return Promise.reject(asMicroError(reason, "internal"));
    }
    const response = this.#respond(call, request) as Promise<O>;
    if (isObserved(call.options)) return observed(call, response);
    return this.#intercepted ? intercepted(call, response) : response;
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
    const responses = this.#streaming(method, "client_streaming", requests, options);
    const iterator = responses[Symbol.asyncIterator]();
    const first = await iterator.next();
    if (first.done === true) throw notOneResponse(method.name, method.service, "no message");
    const second = await iterator.next();
    if (second.done === true) return first.value;
    await iterator.return?.();
    throw notOneResponse(method.name, method.service, "several messages");
  }

  bidi<I, IInit, O, OInit>(
    method: Method<I, IInit, O, OInit>,
    requests: AsyncIterable<IInit> | Iterable<IInit>,
    options?: CallOptions,
  ): AsyncIterable<O> {
    return this.#streaming(method, "bidi_streaming", requests, options);
  }

  #respond(call: OutboundCall, request: unknown): Promise<unknown> {
    if (!this.#intercepted) return this.#attempts.unary(call, request);
    try {
      return Promise.resolve(this.#unary(call, request));
    } catch (reason) {
      return Promise.reject(reason);
    }
  }

  /** @throws MicroError when the call must not even begin. */
  #begin(method: AnyMethod, kind: MethodKind, given: CallOptions | undefined): OutboundCall {
    if (this.isClosing) throw clientClosed(method.name);
    if (method.kind !== kind) throw wrongKind(method, kind);
    const options = callOptions(given);
    checkCallOptions(method.name, options);
    const { context, address } = options;
    const target = address ?? options.service ?? method.service;
    // The default timeout of thirty seconds does not need its own reading of the clock.
    const timed = options.timeoutMs !== undefined || options.deadline !== undefined;
    const beganAt = timed ? monotonicNow() : turnNow();
    const deadline = callDeadline(method, options, this.#timeoutMs, beganAt);
    if (deadline <= beganAt) throw alreadyLate(method.name, target);
    let signal = options.signal ?? context?.signal;
    // Validated before anything begins; a copy is sent anyway.
    let metadata = callMetadata(options.metadata, context);
    if (metadata !== undefined && !(metadata instanceof Metadata))
      metadata = new Metadata(metadata);
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
      metadata,
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
        let call: OutboundCall | undefined;
        try {
          checkRequests(method.name, kind, requests);
          call = this.#begin(method as unknown as AnyMethod, kind, options);
          const responses = this.#stream(call, requests) as AsyncIterable<O>;
          const plain = !this.#intercepted && !isObserved(call.options);
          return plain ? responses[Symbol.asyncIterator]() : observedStream(call, responses);
        } catch (reason) {
          call?.release();
          const error = asMicroError(reason, "unknown");
          return { next: () => Promise.reject(error) };
        }
      },
    };
  }

  protected override async closeOnce(graceMs = 0): Promise<void> {
    await this.#open.wait(graceMs);
    const reason = new MicroError("canceled", "the client was closed", { outcome: "not-executed" });
    await closeInOrder(
      () => this.#unfollow(),
      () => this.#waits.close(reason),
      () => this.#pool.close(0),
      ...this.#owned.map((part) => () => closeOwned(part)),
    );
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

/** A part that never settles must not keep the others from being closed. */
async function closeOwned(part: { close(): Promise<void> }): Promise<void> {
  try {
    await closeWithin(partingMs, part);
  } catch (cause) {
    throw new MicroError(
      asMicroError(cause).code,
      `${partName(part)}, a part of the client, did not close: ${messageOf(cause)}`,
      { cause },
    );
  }
}
