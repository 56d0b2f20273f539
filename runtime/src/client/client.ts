import type { ParentContext } from "../call.ts";
import type { Deadline } from "../deadline.ts";
import type { Metadata, MetadataInit } from "../metadata.ts";
import type { AnyMethod, Method, RetryPolicy } from "../method.ts";
import type { NodeFilter } from "../selector/selector.ts";

/**
 * How one call is made. A handler's context can stand here as it is: it then carries deadline, cancellation
 * and what propagates to the outgoing call. To say more, put it under `context`.
 */
export interface CallOptions {
  /** The incoming call or event on whose behalf this one is made. */
  readonly context?: ParentContext;
  /**
   * Time for the whole call, all attempts together, in milliseconds; `Infinity` for a stream that stays open
   * as long as its reader likes. Over the client's and the schema's.
   */
  readonly timeoutMs?: number;
  /** A deadline on the monotonic clock; the earlier of it, `timeoutMs` and the context's counts. */
  readonly deadline?: Deadline;
  /** Cancels the call on both sides. */
  readonly signal?: AbortSignal;
  /** Sent beside the request. */
  readonly metadata?: MetadataInit;
  /**
   * Over the client's policy and the schema's, field by field. `false` turns it off; what certainly did not
   * run is sent again all the same, to another node if there is one.
   */
  readonly retry?: Partial<RetryPolicy> | false;
  /** Says that this very call may be repeated, or may not, whatever the schema says. */
  readonly idempotent?: boolean;
  /** Calls this service name instead of the schema's. */
  readonly service?: string;
  /** Calls this address and asks no registry. */
  readonly address?: string;
  /** Nodes that may take the call; all must agree, and so must the client's own filters. */
  readonly filters?: readonly NodeFilter[];
  /**
   * Whether requests may be compressed, where the transport is told to do that (`httpTransport({ compression })`): not
   * for secrets, and not for what is compressed already. A function is asked before each request of a stream. Default
   * true.
   */
  readonly compress?: boolean | (() => boolean);
  /** Called once when the other side's metadata is there, before the first message. */
  readonly onResponseMetadata?: (metadata: Metadata) => void;
  /** Called once when the call has ended, also with an error. */
  readonly onTrailers?: (trailers: Metadata) => void;
}

/** A call as interceptors see it: one for all its attempts. */
export interface ClientCall {
  readonly method: AnyMethod;
  /** Name of the service that is called, or the address where there is no name. */
  readonly target: string;
  readonly deadline: Deadline;
  /** What will be sent; interceptors may change it before they call `next`. */
  readonly metadata: Metadata;
  /** The call's own options, as they were given. */
  readonly options: CallOptions;
  /** How many attempts were begun. */
  readonly attempts: number;
  /** What the other side sent before its answer; undefined until it is there. */
  readonly responseMetadata: Metadata | undefined;
  /** What the other side sent at the end; undefined until it is there. */
  readonly trailers: Metadata | undefined;
}

/**
 * Stands around every call of a client. The first in the list is the outermost. Each may answer by itself,
 * change what it passes on, or call `next` again; all attempts of a retry happen inside `next`.
 */
export interface ClientInterceptor {
  unary?(
    call: ClientCall,
    request: unknown,
    next: (request: unknown) => Promise<unknown>,
  ): Promise<unknown>;
  /** For the three streaming kinds; a single request or answer is a stream of one. */
  stream?(
    call: ClientCall,
    requests: AsyncIterable<unknown> | Iterable<unknown>,
    next: (requests: AsyncIterable<unknown> | Iterable<unknown>) => AsyncIterable<unknown>,
  ): AsyncIterable<unknown>;
}

/**
 * Calls methods of services by name. Generated clients stand on it: `createGreeterClient(client)`.
 *
 * Every call has a deadline (30 s unless the schema, the client or the call says otherwise) that holds over
 * all its attempts, and fails with a MicroError only.
 */
export interface Client extends AsyncDisposable {
  unary<I, IInit, O, OInit>(
    method: Method<I, IInit, O, OInit>,
    request: IInit,
    options?: CallOptions,
  ): Promise<O>;
  /** The call begins when the result is iterated, and is cancelled when the iteration is left. */
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
  /** The call begins when the result is iterated, and is cancelled when the iteration is left. */
  bidi<I, IInit, O, OInit>(
    method: Method<I, IInit, O, OInit>,
    requests: AsyncIterable<IInit> | Iterable<IInit>,
    options?: CallOptions,
  ): AsyncIterable<O>;
  /** Takes no further call, waits for the open ones at most `graceMs` (default 0), and closes. Idempotent. */
  close(graceMs?: number): Promise<void>;
}
