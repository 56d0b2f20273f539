import type { Awaitable, ServerCall } from "../call.ts";
import type { Deadline } from "../deadline.ts";
import type { MicroError } from "../error.ts";
import type { Metadata } from "../metadata.ts";
import type { AnyMethod, Method } from "../method.ts";

/** What an implementation promises. */
export interface TransportGuarantees {
  /** Who can call: this process, this host, any machine of the network, or all that share the backend. */
  readonly reach: "process" | "host" | "network" | "backend";
  /**
   * What a reader of a stream that is slow stops: `stream` only its own writer; `connection` everything that its writer
   * sends on the connection; `none` nothing.
   */
  readonly flowControl: "none" | "connection" | "stream";
  /** Whether a handler hears that its caller has cancelled or is gone; at the deadline it always does. */
  readonly cancellation: boolean;
  /** Whether callers are told that a listener drains, so that they go elsewhere before it refuses them. */
  readonly drain: boolean;
  /** Whether metadata of several values, and trailers, arrive as they were sent. */
  readonly fullMetadata: boolean;
  /** Whether calls that are under way outlive the loss of the connection that they go by. */
  readonly resumption: boolean;
  /**
   * Whether nobody on the way can read what listeners take: by TLS, up to the backend's servers where there are some, or
   * because it does not leave the machine.
   */
  readonly encrypted: boolean;
  /** The largest message, in bytes. */
  readonly maxMessageBytes: number;
}

/**
 * Carries calls of methods between processes. It is given the method and messages, not bytes, so each
 * implementation encodes in its own way: the native one straight into its outgoing buffer, the memory one
 * not at all.
 */
export interface Transport {
  /** Name of the implementation, such as `tcp`. */
  readonly name: string;
  /** What it speaks, as a node tells in its metadata under `protocol`; such as `native`. */
  readonly protocol: string;
  readonly guarantees: TransportGuarantees;
  /** What it promises at an address, where that differs from {@link guarantees}; undefined where it does not. */
  guaranteesAt?(address: string): TransportGuarantees | undefined;
  /** Whether this transport can dial such an address: `host:port`, `unix:/path`, `memory:name`. */
  accepts(address: string): boolean;
  /**
   * Opens a channel to an address.
   * @throws MicroError `unavailable`, `not-executed`, when nobody answers there; `invalid_argument` when it
   * is no address; `canceled` or `deadline_exceeded` by signal or deadline.
   */
  dial(address: string, options?: DialOptions): Promise<Channel>;
  /**
   * Accepts calls at an address. Port 0 takes a free one; {@link Listener.address} tells which.
   * @throws MicroError `already_exists` when somebody listens there, `permission_denied` where that is not
   * allowed, `invalid_argument` when it is no address.
   */
  listen(address: string, dispatcher: Dispatcher, options?: ListenOptions): Promise<Listener>;
}

/** How long and by what to wait for a connection. */
export interface DialOptions {
  readonly deadline?: Deadline;
  readonly signal?: AbortSignal;
}

/** What a listener tells of what happens to it. */
export interface ListenOptions {
  /** Called for a connection that ended by a violation of the protocol or of a limit. */
  readonly onConnectionError?: (error: MicroError, peerAddress: string) => void;
}

/**
 * What a client tells a transport of a call, and where the transport leaves what it learned beside the
 * answer. One a call and attempt, made by the client.
 */
export interface OutgoingCall {
  /** The transport ends the call with `deadline_exceeded` by then at the latest. */
  readonly deadline: Deadline;
  /** Sent with the call; undefined when there is none. */
  readonly metadata: Metadata | undefined;
  /** Cancels the call on both sides. */
  readonly signal: AbortSignal | undefined;
  /** Whether a request may be compressed, where the transport does that; a function is asked before each. Default true. */
  readonly compress?: boolean | (() => boolean) | undefined;
  /** Set by the transport no later than the first message or the end. */
  responseMetadata: Metadata | undefined;
  /** Set by the transport at the end, also at an error. */
  trailers: Metadata | undefined;
}

/** Whom the answer of a unary call is brought to where a promise for each would show. One of the two is called, once. */
export interface UnaryReceiver<T = unknown> {
  answered(message: T): void;
  failed(reason: unknown): void;
}

/** The iterator of a stream that knows at once what has come, where a promise for each message would show. */
export interface BufferedIterator<T, R = unknown> extends AsyncIterator<T, R> {
  /** The next message, as `next()` would bring it; undefined when there is none yet, or no more. */
  buffered(): IteratorYieldResult<T> | undefined;
  /** Names who is told of the end, in place of a promise around each `next()`. */
  watchEnd(watcher: EndWatcher): void;
}

/** Told how a stream ended, just before its reader is. */
export interface EndWatcher {
  ended(): void;
  /** Returns what the reader gets in place of the reason. */
  failed(reason: Error): Error;
}

/** Whom the steps of an iteration are brought to where a promise for each would show. One of the two is called a step. */
export interface StepReceiver<T> {
  stepped(step: IteratorResult<T>): void;
  threw(reason: unknown): void;
}

/** An iterator whose steps can be had so. One step is asked for at a time, and it comes later than it was asked for. */
export interface StepIterator<T> extends AsyncIterator<T> {
  /** As `next()`. It never throws. */
  step(receiver: StepReceiver<T>): void;
}

/** `open`: takes calls. `draining`: finishes those it has, because the other side or `close` said so. */
export type ChannelState = "open" | "draining" | "closed";

/**
 * A connection that carries many calls at once.
 *
 * Every way a call can end is a MicroError with what is known of its outcome: refused or never sent is
 * `not-executed`, cut off is `unknown`, an answer of the other side says itself.
 */
export interface Channel extends AsyncDisposable {
  readonly address: string;
  readonly state: ChannelState;
  /** Calls that have not ended. */
  readonly openCalls: number;
  /** Resolves when the channel is closed, with the reason unless `close` was called here. */
  readonly closed: Promise<MicroError | undefined>;
  /** Calls a unary method. */
  unary<I, IInit, O, OInit>(
    method: Method<I, IInit, O, OInit>,
    request: IInit,
    call: OutgoingCall,
  ): Promise<O>;
  /**
   * As {@link unary}, for a client that makes no promise of its own for each attempt. It never throws. A channel
   * without it is called by {@link unary}.
   */
  startUnary?<I, IInit, O, OInit>(
    method: Method<I, IInit, O, OInit>,
    request: IInit,
    call: OutgoingCall,
    receiver: UnaryReceiver<O>,
  ): void;
  /**
   * Calls a method of any streaming kind. The call starts at the first `next()` of the result and is
   * cancelled by its `return()`. Requests are pulled as fast as the other side takes them; when the call
   * ends first, `return()` is called on their iterator. Requests that throw cancel the call, which then
   * fails with the MicroError that they threw, or with `unknown` and what they threw as its cause.
   */
  stream<I, IInit, O, OInit>(
    method: Method<I, IInit, O, OInit>,
    requests: AsyncIterable<IInit> | Iterable<IInit>,
    call: OutgoingCall,
  ): AsyncIterable<O>;
  /**
   * Takes no further call, waits for the open ones at most `graceMs` (default 0), ends the rest with
   * `canceled`, and closes. Idempotent.
   */
  close(graceMs?: number): Promise<void>;
}

/** A place where calls come in. */
export interface Listener extends AsyncDisposable {
  /** Where it listens, with the real port. */
  readonly address: string;
  readonly connections: number;
  /** Calls that are being answered. */
  readonly openCalls: number;
  /**
   * Tells every peer to open no further call here, refuses those that come all the same as `not-executed`,
   * and accepts no connection. Resolves when the last call is answered. Idempotent.
   */
  drain(): Promise<void>;
  /** Drains for at most `graceMs` (default 0), cancels what is left, closes all connections. Idempotent. */
  close(graceMs?: number): Promise<void>;
}

/**
 * Answers calls, whatever they came in by; the server is one. A transport makes a {@link ServerCall} for
 * each, cancels it when the caller is gone or the deadline has passed, and sends what comes back.
 */
export interface Dispatcher {
  /** The method of a full name such as `acme.greeter.v1.Greeter/Hello`; undefined answers `unimplemented`. */
  method(name: string): AnyMethod | undefined;
  /**
   * The method that go-micro calls `Greeter.Hello`, without a package; of several of that name, the one of the service
   * that is named. undefined answers `unimplemented`. Absent: no method is known by such names.
   */
  methodOfEndpoint?(endpoint: string, service: string): AnyMethod | undefined;
  /** Answers a unary call; what it throws is sent as the error. */
  unary(call: ServerCall, request: unknown): Awaitable<unknown>;
  /** As {@link unary}, without a promise of its own. It never throws. */
  startUnary?(call: ServerCall, request: unknown, receiver: UnaryReceiver): void;
  /**
   * Answers a call of a streaming kind. `requests` yields what the caller sends and throws when the call is
   * cancelled; the answer's `return()` is called when the call ends before it does. The transport takes
   * the next answer only when the caller has room for it.
   */
  stream(call: ServerCall, requests: AsyncIterable<unknown>): AsyncIterable<unknown>;
  /**
   * The error for a name that {@link method} does not know, with what there is instead. Without it a
   * transport answers `unimplemented`, `not-executed`, in its own words.
   */
  unknownMethod?(name: string): MicroError;
  /**
   * Called when an answer cannot be written, as when a field holds a value of another type: logs the reason
   * with the method and returns what the caller gets, `internal` without the text. The call has ended for the
   * dispatcher in the unary case; a stream's `return()` is still called. Without it a transport answers
   * `internal`, `executed`, in its own words.
   */
  invalidAnswer?(call: ServerCall, reason: unknown): MicroError;
}

/** Limits of a connection; every transport has them, with these defaults. */
export interface TransportLimits {
  /** The largest message, in bytes, each way. Default 4 MiB. */
  readonly maxMessageBytes: number;
  /** Calls that one connection may have open at once. Default 16,384. */
  readonly maxConcurrentCalls: number;
  /** Bytes of stream messages that a receiver takes before its application read them. Default 256 KiB. */
  readonly streamWindowBytes: number;
  /** Time for a new connection to say what it speaks, in milliseconds. Default 5,000. */
  readonly handshakeTimeoutMs: number;
  /** Silence after which a connection is asked whether it lives, in milliseconds. Default 10,000. */
  readonly keepaliveIntervalMs: number;
  /** How long the answer to that may take, in milliseconds. Default 5,000. */
  readonly keepaliveTimeoutMs: number;
  /** Connections that one listener holds. Default 16,384. */
  readonly maxConnections: number;
}

/** The limits that hold unless told otherwise. */
export const defaultLimits: TransportLimits = {
  maxMessageBytes: 4 * 1024 * 1024,
  maxConcurrentCalls: 16_384,
  streamWindowBytes: 256 * 1024,
  handshakeTimeoutMs: 5_000,
  keepaliveIntervalMs: 10_000,
  keepaliveTimeoutMs: 5_000,
  maxConnections: 16_384,
};
