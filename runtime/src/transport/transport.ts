import type { Deadline } from "../base/deadline.ts";
import type { MicroError } from "../base/error.ts";
import type { Metadata } from "../base/metadata.ts";
import type { Credential, Identity } from "../call/account.ts";
import type { Awaitable, Peer, ServerCall } from "../call/call.ts";
import type { ServerVerification } from "../call/credential-source.ts";
import type { AnyMethod, Method } from "../call/method.ts";
import { defaultMaxElements } from "../codec/message-elements.ts";

/** The guarantees of a transport implementation. */
export interface TransportGuarantees {
  /**
   * Who can call: this process, this host, any machine on the network, or every process that shares
   * the backend.
   */
  readonly reach: "process" | "host" | "network" | "backend";
  /**
   * What a slow reader of a stream blocks: `stream` only that stream's sender; `connection`
   * everything that the sender sends on the connection; `none` nothing.
   */
  readonly flowControl: "none" | "connection" | "stream";
  /**
   * Whether a handler is notified when its caller cancels or disconnects. It is always notified at
   * the deadline.
   */
  readonly cancellation: boolean;
  /**
   * Whether callers are notified that a listener drains, so that they go elsewhere before it
   * refuses them.
   */
  readonly drain: boolean;
  /** Whether metadata with several values for a key, and trailers, arrive as they were sent. */
  readonly fullMetadata: boolean;
  /** Whether open calls survive the loss of their connection. */
  readonly resumption: boolean;
  /**
   * Whether what listeners receive is protected from eavesdropping: by TLS (up to the backend's
   * servers, if there is a backend), or because it does not leave the machine.
   */
  readonly encrypted: boolean;
  /** The largest message, in bytes. */
  readonly maxMessageBytes: number;
}

/**
 * Carries calls of methods between processes. A transport receives the method and messages, not
 * bytes, so each implementation encodes in its own way: the native one directly into its outgoing
 * buffer, the memory one not at all.
 */
export interface Transport {
  /**
   * Name of the implementation, such as `tcp`. The transport of a backend has addresses of the form
   * `name:…`, with `name:0` for a free one; other programs can only dial them over that backend.
   */
  readonly name: string;
  /**
   * The protocol of its calls, such as `native`. A node publishes it in its metadata under
   * `protocol`.
   */
  readonly protocol: string;
  /** The protocol of its listeners' nodes, if that differs. Default {@link protocol}. */
  readonly listenProtocol?: string;
  readonly guarantees: TransportGuarantees;
  /**
   * The guarantees at an address that differ from {@link guarantees}; undefined if they do not
   * differ.
   */
  guaranteesAt?(address: string): TransportGuarantees | undefined;
  /**
   * Whether this transport can dial such an address: `host:port`, `unix:/path`, `memory:name`, or a
   * name on its backend.
   */
  accepts(address: string): boolean;
  /**
   * Whether it verifies the servers of a service by an identity of that service. Channels for the
   * service are then dialed with {@link DialOptions.service}, and are not shared with other
   * services at the address.
   */
  pinsService?(service: string): boolean;
  /**
   * How connections to a service at an address verify the server. Undefined, as without this
   * function, if they are not encrypted or verify nothing. Clients send credentials only to servers
   * that were verified.
   */
  verifies?(address: string, service: string): ServerVerification | undefined;
  /**
   * Opens a channel to an address.
   * @throws MicroError `unavailable`, `not-executed`, if nothing responds there; `invalid_argument`
   * if the address is not valid; `canceled` or `deadline_exceeded` by signal or deadline.
   */
  dial(address: string, options?: DialOptions): Promise<Channel>;
  /**
   * Accepts calls at an address. Port 0 selects a free port, which {@link Listener.address}
   * reports.
   * @throws MicroError `already_exists` if the address is in use, `permission_denied` if listening
   * there is not permitted, `invalid_argument` if the address is not valid.
   */
  listen(address: string, dispatcher: Dispatcher, options?: ListenOptions): Promise<Listener>;
}

/** How to dial, and how long to wait for a connection. */
export interface DialOptions {
  readonly deadline?: Deadline;
  readonly signal?: AbortSignal;
  /**
   * Name of the service to call, if the transport {@link Transport.pinsService | pins} its
   * identity.
   */
  readonly service?: string;
}

/** Callbacks through which a listener reports events. */
export interface ListenOptions {
  /** Called for a connection that ended because of a violation of the protocol or of a limit. */
  readonly onConnectionError?: (error: MicroError, peerAddress: string) => void;
  /** Called once for each origin whose pages made a browser request and may not call. */
  readonly onRefusedOrigin?: (origin: string) => void;
  /** Called once for each host name of an HTTP request that is not one of the listener's names. */
  readonly onRefusedHost?: (host: string) => void;
  /**
   * Returns briefly why the server should get no new calls; undefined when it is ready. A listener
   * that serves HTTP calls it for each `GET /readyz`. Without it, a listener is ready until it
   * drains.
   */
  readonly notReady?: () => string | undefined;
}

/**
 * The parameters of a call, and the metadata that the transport returns in addition to the
 * response. The client creates one for each attempt of a call.
 */
export interface OutgoingCall {
  /** When the transport ends the call with `deadline_exceeded`, at the latest. */
  readonly deadline: Deadline;
  /** Sent with the call, if present. */
  readonly metadata: Metadata | undefined;
  /**
   * Proves who calls. Only for a channel that {@link Channel.carriesCredentials}; for others it is
   * in the metadata.
   */
  readonly credential?: Credential | undefined;
  /** Cancels the call on both sides. */
  readonly signal: AbortSignal | undefined;
  /**
   * Whether a request may be compressed, if the transport supports it; a function is called before
   * each request. Default true.
   */
  readonly compress?: boolean | (() => boolean) | undefined;
  /** Set by the transport no later than the first message or the end. */
  responseMetadata: Metadata | undefined;
  /** Set by the transport at the end, even after an error. */
  trailers: Metadata | undefined;
}

/**
 * Receives the response of a unary call, where a promise for each call would be measurable. Exactly
 * one of the two methods is called, once.
 */
export interface UnaryReceiver<T = unknown> {
  responded(message: T): void;
  failed(reason: unknown): void;
}

/**
 * The iterator of a stream that reports its end as soon as it happens, whether or not anyone is
 * still reading.
 */
export interface WatchedIterator<T, R = unknown> extends AsyncIterator<T, R> {
  /** Sets the only watcher. It is called at once if the stream has already ended. */
  watchEnd(watcher: EndWatcher): void;
}

/**
 * The iterator of a stream that delivers buffered messages synchronously, where a promise for each
 * message would be measurable.
 */
export interface BufferedIterator<T, R = unknown> extends WatchedIterator<T, R> {
  /**
   * Returns the next message, as `next()` would; undefined if none has arrived yet, or the stream
   * has ended.
   */
  buffered(): IteratorYieldResult<T> | undefined;
}

/**
 * Observes the end of a stream. One of `ended` and `failed` is called, once, unless the reader
 * leaves before the end.
 */
export interface EndWatcher {
  /** The peer has ended the stream. Its reader may still have messages to read. */
  ended(): void;
  failed(reason: Error): void;
  /**
   * Rejects with the error that the reader gets in place of the reason, once it has read that far.
   * It returns a promise so that V8 can follow the reader's `await` and add its frames to the stack
   * trace.
   */
  rejection(reason: Error): Promise<never>;
}

/**
 * Receives a step of an iteration, where a promise for each step would be measurable. One of the
 * two methods is called for each step.
 */
export interface StepReceiver<T> {
  stepped(step: IteratorResult<T>): void;
  threw(reason: unknown): void;
}

/**
 * An iterator that delivers steps by callback. Only one step is requested at a time, and it is
 * delivered after the request returns.
 */
export interface StepIterator<T> extends AsyncIterator<T> {
  /** As `next()`. It never throws. */
  step(receiver: StepReceiver<T>): void;
}

/**
 * `open`: accepts calls. `draining`: finishes its open calls, because the peer or `close` asked for
 * it.
 */
export type ChannelState = "open" | "draining" | "closed";

/**
 * A connection that carries many concurrent calls.
 *
 * Every way a call can fail is a MicroError with the known outcome: a call that was refused or
 * never sent is `not-executed`, one that was cut off is `unknown`, and a response from the peer
 * states its own.
 */
export interface Channel extends AsyncDisposable {
  readonly address: string;
  readonly state: ChannelState;
  /** Calls that have not ended. */
  readonly openCalls: number;
  /**
   * Whether the peer has proved that it speaks the protocol. A client redials at once after it
   * loses an established channel; the loss of any other channel counts as a failed dial and causes
   * backoff. Absent if `dial` resolves only once the protocol's handshake is complete, as gRPC's
   * connection backoff counts. HTTP/1.1 and go-micro have no handshake, so their first response
   * counts instead.
   */
  readonly isEstablished?: boolean;
  /**
   * Whether the channel sends {@link OutgoingCall.credential} in a form of its own. Otherwise the
   * client adds it to the metadata of the call, as `authorization`.
   */
  readonly carriesCredentials?: boolean;
  /** Resolves when the channel is closed, with the reason unless `close` was called here. */
  readonly closed: Promise<MicroError | undefined>;
  /** Calls a unary method. */
  unary<I, IInit, O, OInit>(
    method: Method<I, IInit, O, OInit>,
    request: IInit,
    call: OutgoingCall,
  ): Promise<O>;
  /**
   * As {@link unary}, for a client that creates no promise for each attempt. It never throws. A
   * channel without it is called through {@link unary}.
   */
  startUnary?<I, IInit, O, OInit>(
    method: Method<I, IInit, O, OInit>,
    request: IInit,
    call: OutgoingCall,
    receiver: UnaryReceiver<O>,
  ): void;
  /**
   * Calls a method of any streaming kind. The call starts at the first `next()` of the result, and
   * its `return()` cancels the call. Requests are pulled as fast as the peer accepts them; if the
   * call ends first, `return()` is called on their iterator. If the request iterator throws, the
   * call is cancelled and fails with the thrown MicroError, or with `unknown` and the thrown value
   * as its cause.
   */
  stream<I, IInit, O, OInit>(
    method: Method<I, IInit, O, OInit>,
    requests: AsyncIterable<IInit> | Iterable<IInit>,
    call: OutgoingCall,
  ): AsyncIterable<O>;
  /**
   * Accepts no further calls, waits at most `graceMs` (default 0) for the open ones, ends the rest
   * with `canceled`, and closes. Idempotent.
   */
  close(graceMs?: number): Promise<void>;
}

/** Accepts calls at an address. */
export interface Listener extends AsyncDisposable {
  /** Where it listens, with the actual port number. */
  readonly address: string;
  readonly connections: number;
  /** Calls that have not been completed. */
  readonly openCalls: number;
  /**
   * Tells every peer to open no further calls here, refuses calls that arrive anyway as
   * `not-executed`, and accepts no connections. Resolves when the last call has its response.
   * Idempotent.
   */
  drain(): Promise<void>;
  /**
   * Drains for at most `graceMs` (default 0), cancels the remaining calls, and closes all
   * connections. Idempotent.
   */
  close(graceMs?: number): Promise<void>;
}

/**
 * Decides who may call. A transport asks before it decodes a message of the call: first who the
 * caller is, once for each credential of a connection, then whether it may call the method.
 */
export interface CallAccess {
  /**
   * Returns who presents a credential or a certificate; undefined if the caller presents neither.
   * Returns at once what is known already.
   * @throws MicroError `unauthenticated`, `unavailable` or `resource_exhausted`, `not-executed`.
   */
  identify(credential: Credential | undefined, peer: Peer): Awaitable<Identity | undefined>;
  /**
   * @throws MicroError `unauthenticated` or `permission_denied`, `not-executed`; its text is fixed.
   */
  admit(method: AnyMethod, identity: Identity | undefined, peer: Peer): Awaitable<void>;
  /** Whether a caller may learn that a method exists. */
  mayKnow(method: AnyMethod, identity: Identity | undefined): boolean;
  /** Called when an admitted stream opens; it is ended when its caller loses access. */
  opened(call: ServerCall): void;
  /** Called when a stream has ended. */
  closed(call: ServerCall): void;
}

/**
 * Handles calls from every transport; the server is a dispatcher. A transport creates a
 * {@link ServerCall} for each call, cancels it when the caller disconnects or the deadline passes,
 * and sends the result.
 */
export interface Dispatcher {
  /** Undefined if every caller may call every method. */
  readonly access?: CallAccess | undefined;
  /**
   * Returns the method with a full name such as `acme.greeter.v1.Greeter/Hello`; undefined becomes
   * `unimplemented`.
   */
  method(name: string): AnyMethod | undefined;
  /**
   * Returns the method that go-micro calls `Greeter.Hello`, without a package.
   *
   * @param service name by which the server is called, compared exactly with the names that it is
   * registered under: its own and the method's {@link Method.service}. Undefined if the request
   * names none.
   * @returns undefined, which is sent as `unimplemented`, if there is no such method, the name is
   * ambiguous, or the server is not registered under that name. If this function is absent, no
   * method is known by such names.
   */
  methodOfEndpoint?(endpoint: string, service: string | undefined): AnyMethod | undefined;
  /** Handles a unary call. A thrown error is sent to the caller. */
  unary(call: ServerCall, request: unknown): Awaitable<unknown>;
  /** As {@link unary}, without a promise of its own. It never throws. */
  startUnary?(call: ServerCall, request: unknown, receiver: UnaryReceiver): void;
  /**
   * Handles a call of a streaming kind. `requests` yields what the caller sends and throws when the
   * call is cancelled. `return()` is called on the responses if the call ends before they do. The
   * transport pulls the next response only when the caller has room for it.
   */
  stream(call: ServerCall, requests: AsyncIterable<unknown>): AsyncIterable<unknown>;
  /**
   * Returns the error for a name that {@link method} does not know: with suggestions that the
   * caller may know of, and `unauthenticated` for a caller without an account in a server with
   * {@link access}. Without it, a transport responds with its own `unimplemented`, `not-executed`.
   */
  unknownMethod?(name: string, identity?: Identity): MicroError;
  /**
   * Called when a response cannot be encoded, for example because a field holds a value of another
   * type. Logs the reason with the method, and returns the error for the caller: `internal`,
   * without the reason. A unary call has then ended for the dispatcher; `return()` is still called
   * on a stream. Without it, a transport responds with its own `internal`, `executed`.
   */
  invalidResponse?(call: ServerCall, reason: unknown): MicroError;
}

/** Limits of a connection. Every transport has them, with these defaults. */
export interface TransportLimits {
  /** The largest message, in bytes, in each direction. Default 4 MiB. */
  readonly maxMessageBytes: number;
  /**
   * The most elements of a received message: nested messages, list elements, map entries and
   * unknown fields. A number counts as a sixteenth of an element (docs/security.md). Default
   * 262,144.
   */
  readonly maxMessageElements: number;
  /** Calls that one connection may have open at once. Default 16,384. */
  readonly maxConcurrentCalls: number;
  /**
   * Bytes of stream messages that a receiver buffers until its application reads them. Default 256
   * KiB.
   */
  readonly streamWindowBytes: number;
  /** Time for a new connection to complete its handshake, in milliseconds. Default 5,000. */
  readonly handshakeTimeoutMs: number;
  /** Idle time after which a connection is probed, in milliseconds. Default 10,000. */
  readonly keepaliveIntervalMs: number;
  /** How long the reply to a probe may take, in milliseconds. Default 5,000. */
  readonly keepaliveTimeoutMs: number;
  /** Connections that one listener holds. Default 16,384. */
  readonly maxConnections: number;
}

/** The default limits. */
export const defaultLimits: TransportLimits = {
  maxMessageBytes: 4 * 1024 * 1024,
  maxMessageElements: defaultMaxElements,
  maxConcurrentCalls: 16_384,
  streamWindowBytes: 256 * 1024,
  handshakeTimeoutMs: 5_000,
  keepaliveIntervalMs: 10_000,
  keepaliveTimeoutMs: 5_000,
  maxConnections: 16_384,
};
