import type { IncomingEvent, SubscribeOptions, Subscription } from "../broker/broker.ts";
import type { Topic } from "../broker/topic.ts";
import type { Awaitable, CallContext } from "../call.ts";
import type { AnyCodec } from "../codec/codec.ts";
import type { AnyMethod, Method } from "../method.ts";

/**
 * Stands around every call that a server answers. The first in the list is the outermost. Each may answer by
 * itself, refuse by throwing a MicroError, or change what it passes on.
 */
export interface ServerInterceptor {
  unary?(
    context: CallContext,
    request: unknown,
    next: (request: unknown) => Promise<unknown>,
  ): Promise<unknown>;
  /** For the three streaming kinds; a single request or answer is a stream of one. */
  stream?(
    context: CallContext,
    requests: AsyncIterable<unknown>,
    next: (requests: AsyncIterable<unknown>) => AsyncIterable<unknown>,
  ): AsyncIterable<unknown>;
}

/** What a subscriber's handler knows of its event. */
export type EventContext = IncomingEvent;

/** How a subscriber rpc takes its events; generated code writes it from `micro.v1.subscribe`. */
export interface SubscriberOptions extends SubscribeOptions {
  /** Full name of the rpc that subscribes, for logs and for the registry. */
  readonly name?: string;
  /** Name of the service the rpc belongs to. */
  readonly service?: string;
}

/** What a server is doing. */
export type ServerState = "created" | "listening" | "draining" | "closed";

/** What a server has done, in calls. */
export interface ServerStats {
  readonly inFlight: number;
  readonly started: number;
  /** Ended with an error, whatever its code. */
  readonly failed: number;
  /** Refused because too many were in flight. */
  readonly refused: number;
  /** Cancelled calls whose handler went on for so long that it is not counted as in flight any more. */
  readonly abandoned: number;
}

/**
 * Answers calls and takes events. Generated code registers a handler's methods on it:
 * `registerGreeterHandler(server, new Greeter())`.
 *
 * An exception of a handler ends its own call and nothing else: a MicroError goes to the caller as it is,
 * anything else as `internal` without its text.
 */
export interface Server extends AsyncDisposable {
  readonly state: ServerState;
  /** Fires when the server begins to drain; a stream that has no end of its own ends by it. */
  readonly draining: AbortSignal;
  /** Where it listens, with the real ports; empty before `start`. */
  readonly addresses: readonly string[];
  /** Methods that have a handler, in the order they were registered. */
  readonly methods: readonly AnyMethod[];
  /** Codecs of the events that it subscribes to, in the order of the subscribers. */
  readonly events: readonly AnyCodec[];
  readonly stats: ServerStats;
  /** What its subscribers take their events by; empty before `start`. */
  readonly subscriptions: readonly Subscription[];
  /** @throws MicroError `already_exists` when the method has a handler. */
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
  /** Takes a topic's events while the server listens. */
  subscribe<M, I>(
    topic: Topic<M, I>,
    handler: (message: M, context: EventContext) => Awaitable<void>,
    options?: SubscriberOptions,
  ): void;
  /** Listens and subscribes. @throws MicroError as {@link Transport.listen}. */
  start(): Promise<void>;
  /** Refuses new calls and events, and resolves when those in flight are done. Idempotent. */
  drain(): Promise<void>;
  /** Drains for at most `graceMs` (default 0), cancels what is left, and closes. Idempotent. */
  close(graceMs?: number): Promise<void>;
}
