import { type Deadline, remainingMs } from "./deadline.ts";
import { MicroError } from "./error.ts";
import { Metadata } from "./metadata.ts";
import type { AnyMethod } from "./method.ts";

/** A value, or a promise of it. */
export type Awaitable<T> = T | Promise<T>;

/** Who is on the other side of a call. */
export interface Peer {
  /** Where the call came from, such as `10.0.0.7:51234`; for logs, never for authorization. */
  readonly address: string;
  /** Name of the transport it came by, such as `tcp`. */
  readonly transport: string;
}

/**
 * What work that was caused by an incoming call or event takes along when it calls further: given as the
 * options of an outgoing call, it carries deadline, cancellation and the metadata that is marked to
 * propagate, and nothing else.
 */
export interface ParentContext {
  /** When the caller stops waiting. */
  readonly deadline: Deadline;
  /** Fires when the caller cancelled, the deadline passed or the connection broke. */
  readonly signal: AbortSignal;
  /** The entries of the incoming metadata that go along with calls made on behalf of this one. */
  readonly propagatedMetadata: Metadata;
  /** This context itself, so that it can stand where call options are expected. */
  readonly context: ParentContext;
}

/** Names a value that interceptors leave on a context for those who come after them. */
export interface ContextKey<T> {
  readonly id: symbol;
  readonly defaultValue: T;
}

/** Makes a key for {@link CallContext.get} and {@link CallContext.set}; the value is a default. */
export function contextKey<T>(description: string, defaultValue: T): ContextKey<T> {
  return { id: Symbol(description), defaultValue };
}

/** What a handler knows of the call that it answers. */
export interface CallContext extends ParentContext {
  readonly method: AnyMethod;
  readonly peer: Peer;
  /** What the caller sent beside the request. */
  readonly requestMetadata: Metadata;
  /** Goes out before the first message of the answer; changes after that have no effect. */
  readonly responseMetadata: Metadata;
  /** Goes out with the end of the answer, also when it is an error. */
  readonly trailers: Metadata;
  readonly context: CallContext;
  /** Milliseconds until the caller stops waiting. */
  remainingMs(): number;
  /** A value that an interceptor left, or the key's default. */
  get<T>(key: ContextKey<T>): T;
  set<T>(key: ContextKey<T>, value: T): void;
}

/** Told when a call is given up before its handler ended; a server counts by it who is still at work. */
export interface CallObserver {
  callCancelled(call: ServerCall): void;
}

/** Keys of incoming metadata that always propagate: W3C trace context and baggage. */
export const alwaysPropagated: readonly string[] = ["traceparent", "tracestate", "baggage"];

const noKeys: readonly string[] = [];

/**
 * One incoming call, as a transport makes it for the dispatcher and a handler sees it as
 * {@link CallContext}. Everything that a handler may never ask for is made when it is first read: a call
 * costs this one object.
 */
export class ServerCall implements CallContext {
  readonly method: AnyMethod;
  readonly peer: Peer;
  readonly deadline: Deadline;
  /** Keys that propagate beside {@link alwaysPropagated}; the server sets it. */
  propagate: readonly string[] = noKeys;
  /** Why the call was given up; undefined as long as somebody waits for the answer. */
  cancelled: MicroError | undefined = undefined;
  /** Who is told of {@link cancel}; a field and not an event, because every call has one. */
  observer: CallObserver | undefined = undefined;

  #requestMetadata: Metadata | undefined;
  #responseMetadata: Metadata | undefined = undefined;
  #trailers: Metadata | undefined = undefined;
  #propagated: Metadata | undefined = undefined;
  #controller: AbortController | undefined = undefined;
  #values: Map<symbol, unknown> | undefined = undefined;

  /** @param metadata what came with the call; undefined when nothing did. */
  constructor(method: AnyMethod, peer: Peer, metadata: Metadata | undefined, deadline: Deadline) {
    this.method = method;
    this.peer = peer;
    this.#requestMetadata = metadata;
    this.deadline = deadline;
  }

  get context(): this {
    return this;
  }

  get requestMetadata(): Metadata {
    this.#requestMetadata ??= new Metadata();
    return this.#requestMetadata;
  }

  get responseMetadata(): Metadata {
    this.#responseMetadata ??= new Metadata();
    return this.#responseMetadata;
  }

  get trailers(): Metadata {
    this.#trailers ??= new Metadata();
    return this.#trailers;
  }

  /** What the handler put into {@link responseMetadata}; undefined when it is empty. For transports. */
  get sentMetadata(): Metadata | undefined {
    return this.#responseMetadata?.isEmpty === false ? this.#responseMetadata : undefined;
  }

  /** What the handler put into {@link trailers}; undefined when it is empty. For transports. */
  get sentTrailers(): Metadata | undefined {
    return this.#trailers?.isEmpty === false ? this.#trailers : undefined;
  }

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.cancelled !== undefined) this.#controller.abort(this.cancelled);
    }
    return this.#controller.signal;
  }

  get propagatedMetadata(): Metadata {
    if (this.#propagated === undefined) {
      this.#propagated = selectMetadata(this.requestMetadata, this.propagate);
    }
    return this.#propagated;
  }

  remainingMs(): number {
    return remainingMs(this.deadline);
  }

  get<T>(key: ContextKey<T>): T {
    const values = this.#values;
    return values?.has(key.id) ? (values.get(key.id) as T) : key.defaultValue;
  }

  set<T>(key: ContextKey<T>, value: T): void {
    this.#values ??= new Map();
    this.#values.set(key.id, value);
  }

  /** Gives the call up: its signal fires with this reason. Only the first reason counts. */
  cancel(reason: MicroError): void {
    if (this.cancelled !== undefined) return;
    this.cancelled = reason;
    this.#controller?.abort(reason);
    this.observer?.callCancelled(this);
  }
}

/** The entries of incoming metadata that go along with outgoing calls. */
export function selectMetadata(incoming: Metadata, keys: readonly string[]): Metadata {
  const selected = new Metadata();
  if (incoming.isEmpty) return selected;
  for (const key of [...alwaysPropagated, ...keys]) {
    for (const value of incoming.getAll(key)) selected.append(key, value);
  }
  return selected;
}

/** The error of a call whose deadline has passed, whichever side notices first. */
export function deadlineExceeded(
  what: string,
  outcome: MicroError["outcome"] = "unknown",
): MicroError {
  return new MicroError("deadline_exceeded", `${what} was not answered by its deadline`, {
    outcome,
  });
}
