import type { Metadata } from "../base/metadata.ts";
import type { IncomingEvent, SubscribeOptions, Subscription } from "../broker/broker.ts";
import type { Topic } from "../broker/topic.ts";
import type { Awaitable, CallContext } from "../call/call.ts";
import type { AnyMethod, Method, MethodKind } from "../call/method.ts";
import type { AnyCodec } from "../codec/codec.ts";

/** An incoming call or event, as an interceptor function sees it. */
export type Incoming =
  | {
      readonly kind: MethodKind;
      /** Full name of the rpc, such as `acme.greeter.v1.Greeter/Hello`. */
      readonly name: string;
      /** Metadata that the caller sent in addition to its requests. */
      readonly metadata: Metadata;
      readonly context: CallContext;
    }
  | {
      readonly kind: "event";
      /** Full name of the subscriber rpc, or the topic if the subscriber has no name. */
      readonly name: string;
      /** Metadata that the publisher sent in addition to the message. */
      readonly metadata: Metadata;
      readonly context: EventContext;
    };

/**
 * Runs around every call of every kind and around every event; suited to guards, timing and
 * logging. To refuse, it throws before it calls `next`: a MicroError is sent to the caller
 * unchanged. `next` runs the handler; its promise settles when the handler has ended, for a stream
 * when the stream has ended, and rejects with the error that the caller will see. A failed handler
 * stays failed unless the interceptor throws another error.
 *
 * An event refused with `unauthenticated` or `permission_denied` is rejected permanently; after any
 * other error it is redelivered, as after an error of its handler.
 *
 * @example
 * ```ts
 * import { MicroError, type ServerInterceptorFunction } from "@micro-es/runtime";
 *
 * const known: ServerInterceptorFunction = async (incoming, next) => {
 *   if (!incoming.metadata.has("x-tenant")) {
 *     throw new MicroError("unauthenticated", `${incoming.name} needs the metadata x-tenant`);
 *   }
 *   await next();
 * };
 * ```
 */
export type ServerInterceptorFunction = (
  incoming: Incoming,
  next: () => Promise<void>,
) => Awaitable<void>;

/**
 * Sees and may change the messages themselves; each function may also respond without `next`, or
 * refuse by throwing. All three are required, so that every kind is covered; a function with
 * nothing to do returns `next(request)`.
 */
export interface ServerMessageInterceptor {
  unary(
    context: CallContext,
    request: unknown,
    next: (request: unknown) => Promise<unknown>,
  ): Promise<unknown>;
  /** For the three streaming kinds; a single request or response is a stream of one. */
  stream(
    context: CallContext,
    requests: AsyncIterable<unknown>,
    next: (requests: AsyncIterable<unknown>) => AsyncIterable<unknown>,
  ): AsyncIterable<unknown>;
  /** For the server's subscribers. An event is acknowledged when this resolves. */
  event(
    context: EventContext,
    message: unknown,
    next: (message: unknown) => Promise<void>,
  ): Promise<void>;
}

/**
 * Surrounds every call that a server handles and every event that its subscribers receive. The
 * first in the list is the outermost.
 */
export type ServerInterceptor = ServerInterceptorFunction | ServerMessageInterceptor;

/** The context of an event, as a subscriber's handler receives it. */
export type EventContext = IncomingEvent;

/** Options of a subscriber rpc; generated code writes them from `micro.v1.subscribe`. */
export interface SubscriberOptions extends SubscribeOptions {
  /** Full name of the subscriber rpc, for logs and for the registry. */
  readonly name?: string;
  /** Name of the service the rpc belongs to. */
  readonly service?: string;
}

/** The state of a server. */
export type ServerState = "created" | "listening" | "draining" | "closed";

/** Call counters of a server. */
export interface ServerStats {
  readonly inFlight: number;
  readonly started: number;
  /** Ended with an error, whatever its code. */
  readonly failed: number;
  /** Refused because too many were in flight. */
  readonly refused: number;
  /** Cancelled calls whose handler ran for so long that it is no longer counted as in flight. */
  readonly abandoned: number;
}

/**
 * Handles calls and receives events. Generated code registers a handler's methods on it:
 * `registerGreeterHandler(server, new Greeter())`.
 *
 * An exception in a handler ends only its own call: a MicroError is sent to the caller unchanged,
 * anything else as `internal` without its text.
 */
export interface Server extends AsyncDisposable {
  readonly state: ServerState;
  /** Aborts when the server starts to drain; a stream without an end of its own should end then. */
  readonly draining: AbortSignal;
  /** The listen addresses with the actual ports; empty before `start`. */
  readonly addresses: readonly string[];
  /** Methods that have a handler, in the order they were registered. */
  readonly methods: readonly AnyMethod[];
  /** Codecs of the events that it subscribes to, in the order of the subscribers. */
  readonly events: readonly AnyCodec[];
  readonly stats: ServerStats;
  /** The subscriptions of its subscribers; empty before `start`. */
  readonly subscriptions: readonly Subscription[];
  /** @throws MicroError `already_exists` when the method already has a handler. */
  unary<I, IInit, O, OInit>(
    method: Method<I, IInit, O, OInit>,
    handler: (request: I, context: CallContext) => Awaitable<OInit>,
  ): void;
  serverStream<I, IInit, O, OInit>(
    method: Method<I, IInit, O, OInit>,
    handler: (request: I, context: CallContext) => AsyncIterable<OInit>,
  ): void;
  clientStream<I, IInit, O, OInit>(
    method: Method<I, IInit, O, OInit>,
    handler: (requests: AsyncIterable<I>, context: CallContext) => Awaitable<OInit>,
  ): void;
  bidi<I, IInit, O, OInit>(
    method: Method<I, IInit, O, OInit>,
    handler: (requests: AsyncIterable<I>, context: CallContext) => AsyncIterable<OInit>,
  ): void;
  /** Handles a topic's events while the server listens. */
  subscribe<M, I>(
    topic: Topic<M, I>,
    handler: (message: M, context: EventContext) => Awaitable<void>,
    options?: SubscriberOptions,
  ): void;
  /**
   * Adds a condition for readiness: while `isReady` returns false or throws, `GET /readyz` responds
   * 503 and names it. It runs once per probe, so it should only check state that is already known.
   *
   * @example
   * ```ts
   * import type { Service } from "@micro-es/runtime";
   *
   * declare const service: Service;
   * declare const pool: { readonly isConnected: boolean };
   * service.server.addReadinessCheck("database", () => pool.isConnected);
   * ```
   */
  addReadinessCheck(name: string, isReady: () => boolean): void;
  /**
   * Starts listening and subscribes.
   * @throws MicroError as {@link Transport.listen}; `failed_precondition` when the schema requires
   * an account or scopes of callers and the server has neither auth nor `auth: false`.
   */
  start(): Promise<void>;
  /** Refuses new calls and events, and resolves when those in flight are done. Idempotent. */
  drain(): Promise<void>;
  /**
   * Drains for at most `graceMs` (default 0), cancels the remaining calls, and closes. Idempotent.
   */
  close(graceMs?: number): Promise<void>;
}
