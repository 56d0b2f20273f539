import type { Deadline } from "../base/deadline.ts";
import type { Metadata, MetadataInit } from "../base/metadata.ts";
import type { LoggingPart } from "../base/part-logger.ts";
import type { Awaitable, ParentContext } from "../call/call.ts";
import type { CredentialSource } from "../call/credential-source.ts";
import type { AnyMethod, Method, RetryPolicy } from "../call/method.ts";
import type { NodeFilter } from "../selector/selector.ts";

/**
 * Options for one call. A handler's context can be passed as the options: the outgoing call then
 * inherits its deadline, cancellation and propagated metadata. To combine it with other options,
 * pass it as `context`.
 */
export interface CallOptions {
  /** The incoming call or event that caused this call. */
  readonly context?: ParentContext;
  /**
   * Timeout of the whole call including all attempts, in milliseconds; `Infinity` for a stream of
   * unlimited duration. Overrides the client's and the schema's.
   */
  readonly timeoutMs?: number;
  /**
   * A deadline on the monotonic clock; the earliest of this, `timeoutMs` and the context's applies.
   */
  readonly deadline?: Deadline;
  /** Cancels the call on both sides. */
  readonly signal?: AbortSignal;
  /** Metadata sent in addition to the request. */
  readonly metadata?: MetadataInit;
  /**
   * Presents credentials of this source instead of the client's; `false`: none. A call whose
   * {@link metadata} has `authorization` sends that, wherever it goes, and asks no source.
   */
  readonly credentials?: CredentialSource | false;
  /**
   * Overrides the client's and the schema's policy, field by field. `false` disables retries by
   * policy; a call that certainly did not run is still sent again, to another node if there is one.
   */
  readonly retry?: Partial<RetryPolicy> | false;
  /** Whether this call may be repeated; overrides the schema. */
  readonly idempotent?: boolean;
  /** Calls this service name instead of the schema's. */
  readonly service?: string;
  /** Calls this address without using the registry. */
  readonly address?: string;
  /** Filters for the node; it must pass all of them and the client's own. */
  readonly filters?: readonly NodeFilter[];
  /**
   * Whether requests may be compressed, if compression is enabled on the transport
   * (`httpTransport({ compression })`). Disable it for secrets and for data that is already
   * compressed. A function is called before each request of a stream. Default true.
   */
  readonly compress?: boolean | (() => boolean);
  /** Called once with the server's metadata, before the first message. */
  readonly onResponseMetadata?: (metadata: Metadata) => void;
  /** Called once when the call has ended, even with an error. */
  readonly onTrailers?: (trailers: Metadata) => void;
}

/** A call as interceptors see it: one object for all attempts. */
export interface ClientCall {
  readonly method: AnyMethod;
  /** Name of the called service, or the address if there is no name. */
  readonly target: string;
  readonly deadline: Deadline;
  /** Metadata to send; interceptors may change it before they call `next`. */
  readonly metadata: Metadata;
  /** The call's own options, as passed by the caller. */
  readonly options: CallOptions;
  /** Number of attempts started. */
  readonly attempts: number;
  /** Metadata that the server sent before its response; undefined until it arrives. */
  readonly responseMetadata: Metadata | undefined;
  /** Trailers that the server sent at the end; undefined until they arrive. */
  readonly trailers: Metadata | undefined;
}

/**
 * Runs around every call of every kind; suited to metadata, timing and logging. `next` makes the
 * attempts; its promise settles when the call has ended, for a stream when the stream has ended. A
 * failed call stays failed unless the interceptor throws another error.
 *
 * @example
 * ```ts
 * import type { ClientInterceptorFunction } from "@micro-es/runtime";
 *
 * const traced: ClientInterceptorFunction = async (call, next) => {
 *   call.metadata.set("x-request-id", crypto.randomUUID());
 *   await next();
 * };
 * ```
 */
export type ClientInterceptorFunction = (
  call: ClientCall,
  next: () => Promise<void>,
) => Awaitable<void>;

/**
 * Sees and may change the messages themselves. Each function may also respond without `next`, or
 * call it again; all attempts of a retry happen inside `next`. Both are required, so that every
 * kind of call is covered; a function with nothing to do returns `next(request)`.
 */
export interface ClientMessageInterceptor {
  unary(
    call: ClientCall,
    request: unknown,
    next: (request: unknown) => Promise<unknown>,
  ): Promise<unknown>;
  /** For the three streaming kinds; a single request or response is a stream of one. */
  stream(
    call: ClientCall,
    requests: AsyncIterable<unknown> | Iterable<unknown>,
    next: (requests: AsyncIterable<unknown> | Iterable<unknown>) => AsyncIterable<unknown>,
  ): AsyncIterable<unknown>;
}

/** Surrounds every call of a client. The first in the list is the outermost. */
export type ClientInterceptor = ClientInterceptorFunction | ClientMessageInterceptor;

/**
 * Calls methods of services by name. Generated clients use it: `createGreeterClient(client)`.
 *
 * Every call has a deadline (30 s unless the schema, the client or the call sets another) that
 * covers all its attempts, and fails only with a MicroError.
 */
export interface Client extends AsyncDisposable, LoggingPart {
  unary<I, IInit, O, OInit>(
    method: Method<I, IInit, O, OInit>,
    request: IInit,
    options?: CallOptions,
  ): Promise<O>;
  /** The call starts when the result is iterated, and is cancelled when the iteration is left. */
  serverStream<I, IInit, O, OInit>(
    method: Method<I, IInit, O, OInit>,
    request: IInit,
    options?: CallOptions,
  ): AsyncIterable<O>;
  clientStream<I, IInit, O, OInit>(
    method: Method<I, IInit, O, OInit>,
    requests: AsyncIterable<IInit> | Iterable<IInit>,
    options?: CallOptions,
  ): Promise<O>;
  /** The call starts when the result is iterated, and is cancelled when the iteration is left. */
  bidi<I, IInit, O, OInit>(
    method: Method<I, IInit, O, OInit>,
    requests: AsyncIterable<IInit> | Iterable<IInit>,
    options?: CallOptions,
  ): AsyncIterable<O>;
  /**
   * Rejects new calls, waits at most `graceMs` (default 0) for open ones, and closes. Idempotent.
   */
  close(graceMs?: number): Promise<void>;
}
