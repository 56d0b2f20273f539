import { setMaxListeners } from "node:events";
import {
  createServer as createHttp1Server,
  type Server as Http1Server,
  type IncomingMessage,
  type ServerResponse,
} from "node:http";
import {
  createServer as createHttp2Server,
  type Http2Server,
  type ServerHttp2Session,
} from "node:http2";
import type { Socket } from "node:net";
import { MicroError } from "../../base/error.ts";
import type { WebAccess } from "../../base/web-access.ts";
import type { Peer } from "../../call/call.ts";
import { ConnectionPeer } from "../../call/connection-peer.ts";
import { listenerDraining } from "../call-errors.ts";
import type { ProtocolServer, WireProtocol } from "../port/protocol-server.ts";
import { refusalOf } from "../port/refuse-connection.ts";
import { within } from "../settle-within.ts";
import type { Dispatcher, ListenOptions, TransportLimits } from "../transport.ts";
import { Http2AbuseGuard } from "./http2-abuse-guard.ts";
import { IncompleteBytes } from "./incomplete-message.ts";
import type { HttpRequest, HttpResponse } from "./request.ts";
import {
  type HttpConnection,
  type HttpServeOptions,
  type Reception,
  RequestHandler,
} from "./request-handler.ts";
import { StalledResponses } from "./stalled-responses.ts";

/** How a listener serves HTTP. */
export interface HttpProtocolOptions extends HttpServeOptions {
  /**
   * A connection without a request is closed after this long, in milliseconds. A call is cancelled
   * if its caller reads nothing of the response for this long. Default 300,000.
   */
  readonly idleTimeoutMs?: number;
  /**
   * Calls that one HTTP/2 connection may have open at once. Default 1,000, but at most the
   * transport's limit.
   */
  readonly maxConcurrentStreams?: number;
  /**
   * Bytes of incomplete requests that each connection may hold; all connections of a listener may
   * together hold four times as many. A request for which there is no room is refused. Default 64
   * MiB; a message of `maxMessageBytes` always has room.
   */
  readonly maxIncompleteBytes?: number;
}

/**
 * How many connections may hold their full limit of incomplete requests before the listener's limit
 * is reached.
 */
const fullConnections = 4;

/** The largest header of a request, in bytes. */
const maxHeaderBytes = 32 * 1024;
/** The most lines in the header of a request. */
const maxHeaderLines = 160;
/** How long a closed connection may take to send its pending output, in milliseconds. */
const lingerMs = 1_000;
/**
 * How long an HTTP/2 connection that accepts no further calls stays open after its last response. A
 * caller that reads the end of the connection together with a response may treat the response as
 * lost, as grpc-js does.
 */
const goodbyeMs = 250;

/** Responds to a go-micro request, which is `POST /` over HTTP/1.1. */
type GoMicroRequests = (
  request: IncomingMessage,
  response: ServerResponse,
  peer: ConnectionPeer,
) => void;

/** The state of one connection. */
interface Connection extends HttpConnection {
  /** Responses that have not ended. */
  readonly open: Set<HttpResponse>;
  /** It has violated a limit, and is about to be closed. */
  isCutOff?: boolean;
  /** Of HTTP/2. */
  session?: ServerHttp2Session;
  /** Resolves when an HTTP/2 connection that accepts no further calls is closed. */
  goodbye?: Promise<void>;
}

/** The HTTP connections of one listener, whatever accepts their sockets. */
export class HttpProtocolServer implements ProtocolServer, Reception {
  readonly dispatcher: Dispatcher;
  readonly limits: TransportLimits;
  readonly address: string;
  readonly access: WebAccess;
  readonly shutdown: AbortSignal;
  readonly #options: HttpProtocolOptions;
  readonly #listenOptions: ListenOptions;
  readonly #goMicro: GoMicroRequests | undefined;
  readonly #shutdown = new AbortController();
  readonly #handler: RequestHandler;
  readonly #connections = new Map<Socket, Connection>();
  /** The sockets of the HTTP/2 sessions, which Node otherwise exposes only through a proxy. */
  readonly #sockets = new Map<ServerHttp2Session, Socket>();
  readonly #peers = new WeakMap<object, ConnectionPeer>();
  readonly #transport: string;
  /** The connection that is being passed to a Node server. */
  #accepting: Socket | undefined;
  #http1: Http1Server | undefined;
  #http2: Http2Server | undefined;
  readonly #incomplete: IncompleteBytes;
  #openCalls = 0;
  #draining = false;
  #drained: Promise<void> | undefined;
  #settle: (() => void) | undefined;

  /** @param transport name of the transport, for {@link Peer.transport}. */
  constructor(
    dispatcher: Dispatcher,
    limits: TransportLimits,
    transport: string,
    address: string,
    options: HttpProtocolOptions,
    listenOptions: ListenOptions,
    access: WebAccess,
    goMicro?: GoMicroRequests,
  ) {
    this.#goMicro = goMicro;
    this.#transport = transport;
    this.access = access;
    this.dispatcher = dispatcher;
    this.limits = limits;
    this.address = address;
    this.shutdown = this.#shutdown.signal;
    this.#options = options;
    this.#listenOptions = listenOptions;
    this.#incomplete = new IncompleteBytes(
      fullConnections * this.#maxIncompleteBytes,
      `the listener at ${address}`,
    );
    // Every open call adds a listener.
    setMaxListeners(0, this.shutdown);
    this.#handler = new RequestHandler(this, options);
  }

  get connections(): number {
    return this.#connections.size;
  }

  get openCalls(): number {
    return this.#openCalls;
  }

  get draining(): boolean {
    return this.#draining;
  }

  /** Serves a connection whose first bytes, still unread, are those of this version of HTTP. */
  accept(socket: Socket, peerAddress: string, version: WireProtocol): void {
    if (this.#draining || this.#connections.size >= this.limits.maxConnections) {
      const refusal = this.#refusal();
      this.#listenOptions.onConnectionError?.(refusal, peerAddress);
      socket.on("error", () => undefined);
      socket.resume();
      socket.end(refusalOf(version, refusal.message));
      setTimeout(() => socket.destroy(), lingerMs).unref();
      return;
    }
    const untaken = this.#untakenResponses();
    const open = new Set<HttpResponse>();
    const held = new IncompleteBytes(this.#maxIncompleteBytes, "its connection");
    this.#connections.set(socket, { open, untaken, incomplete: [held, this.#incomplete] });
    this.#peers.set(socket, new ConnectionPeer(peerAddress, this.#transport));
    socket.on("error", () => undefined);
    socket.once("close", () => {
      this.#connections.delete(socket);
      untaken.end();
      setImmediate(() => closePipelined(open));
    });
    this.#accepting = socket;
    if (version === "http2") this.#useHttp2().emit("connection", socket);
    else this.#useHttp1().emit("connection", socket);
    this.#accepting = undefined;
  }

  peer(request: HttpRequest): Peer {
    const key = "stream" in request ? request.stream.session : request.socket;
    // A stream that was closed in the meantime has no session any longer.
    return (key && this.#peers.get(key)) ?? { address: "", transport: this.#transport };
  }

  notReady(): string | undefined {
    return this.#draining ? "draining" : this.#listenOptions.notReady?.();
  }

  drain(): Promise<void> {
    if (this.#drained === undefined) {
      this.#draining = true;
      this.#drained = new Promise((resolve) => {
        this.#settle = resolve;
      });
      for (const [socket, connection] of this.#connections) {
        const { open, session } = connection;
        // Names the actual last stream: Node would drop later streams after a GOAWAY that names a
        // later one.
        if (session?.destroyed === false) {
          session.goaway();
          this.#closeIfIdle(socket, connection);
        } else if (session === undefined && open.size === 0) socket.end();
      }
      this.#checkDrained();
    }
    return this.#drained;
  }

  async close(graceMs: number): Promise<void> {
    const drained = this.drain();
    if (this.#openCalls > 0) await within(graceMs, drained);
    if (this.#openCalls > 0) {
      this.#shutdown.abort(
        new MicroError("unavailable", `the listener at ${this.address} was closed`),
      );
      await within(lingerMs, drained);
    }
    await Promise.all(
      [...this.#connections].map(([socket, connection]) => close(socket, connection)),
    );
    this.#http1?.close();
    this.#http2?.close();
  }

  #useHttp1(): Http1Server {
    if (this.#http1 !== undefined) return this.#http1;
    const server = createHttp1Server({
      maxHeaderSize: maxHeaderBytes,
      headersTimeout: this.limits.handshakeTimeoutMs,
      keepAliveTimeout: this.#options.idleTimeoutMs ?? defaultIdleMs,
      connectionsCheckingInterval: 1_000,
    });
    server.maxHeadersCount = maxHeaderLines;
    server.on("request", (request, response) => {
      if (this.#goMicro !== undefined && request.method === "POST" && request.url === "/") {
        this.#beginGoMicro(this.#goMicro, request, response);
      } else this.#begin(request.socket, request, response);
    });
    // The server does not listen itself; this event makes it start checking its timeouts.
    server.emit("listening");
    this.#http1 = server;
    return server;
  }

  #useHttp2(): Http2Server {
    if (this.#http2 !== undefined) return this.#http2;
    const server = createHttp2Server({
      maxHeaderListPairs: maxHeaderLines,
      maxSettings: 32,
      maxOutstandingPings: 4,
      settings: {
        maxConcurrentStreams: this.#maxConcurrentStreams,
        maxHeaderListSize: maxHeaderBytes,
        initialWindowSize: this.limits.streamWindowBytes,
        enablePush: false,
      },
    });
    server.on("session", (session) => this.#opened(session));
    server.on("request", (request, response) => {
      const { session, aborted } = request.stream;
      const socket = session && this.#sockets.get(session as ServerHttp2Session);
      if (socket !== undefined && !aborted) this.#begin(socket, request, response);
    });
    // A session error ends that session; its calls are notified through their own streams.
    server.on("sessionError", () => undefined);
    this.#http2 = server;
    return server;
  }

  get #maxIncompleteBytes(): number {
    const { maxIncompleteBytes = 64 * 1024 * 1024 } = this.#options;
    return Math.max(maxIncompleteBytes, this.limits.maxMessageBytes);
  }

  get #maxConcurrentStreams(): number {
    return Math.min(this.limits.maxConcurrentCalls, this.#options.maxConcurrentStreams ?? 1_000);
  }

  #opened(session: ServerHttp2Session): void {
    const socket = this.#accepting;
    if (socket === undefined) {
      session.destroy();
      return;
    }
    const peer = this.#peers.get(socket);
    if (peer !== undefined) this.#peers.set(session, peer);
    this.#sockets.set(session, socket);
    const connection = this.#connections.get(socket);
    if (connection !== undefined) connection.session = session;
    session.once("close", () => this.#sockets.delete(session));
    session.setLocalWindowSize(Math.max(1024 * 1024, 4 * this.limits.streamWindowBytes));
    new Http2AbuseGuard(session, socket, {
      limits: this.limits,
      idleTimeoutMs: this.#options.idleTimeoutMs ?? defaultIdleMs,
      maxConcurrentStreams: this.#maxConcurrentStreams,
      sentMessages: () => connection?.untaken.sent ?? 0,
      onViolation: (error) => {
        if (connection !== undefined) connection.isCutOff = true;
        this.#listenOptions.onConnectionError?.(error, peer?.address ?? "");
      },
    });
  }

  /** Starts handling a request, and counts it until the response has ended. */
  #begin(socket: Socket, request: HttpRequest, response: HttpResponse): void {
    const connection = this.#connections.get(socket);
    if (connection === undefined || connection.isCutOff) return;
    this.#openCalls++;
    connection.open.add(response);
    response.once("close", () => {
      this.#openCalls--;
      connection.open.delete(response);
      this.#closeIfIdle(socket, connection);
      this.#checkDrained();
    });
    this.#handler.handle(request, response, connection);
  }

  /** Passes a request to the go-micro server, which counts its call. */
  #beginGoMicro(
    goMicro: GoMicroRequests,
    request: IncomingMessage,
    response: ServerResponse & { req: IncomingMessage },
  ): void {
    const connection = this.#connections.get(request.socket);
    const peer = this.#peers.get(request.socket);
    if (connection === undefined || peer === undefined) return;
    connection.open.add(response);
    response.once("close", () => connection.open.delete(response));
    goMicro(request, response, peer);
  }

  #untakenResponses(): StalledResponses {
    const { keepaliveIntervalMs, keepaliveTimeoutMs, maxMessageBytes } = this.limits;
    const stallMs = this.#options.idleTimeoutMs ?? defaultIdleMs;
    return new StalledResponses({
      stallMs,
      mostBytes: 4 * maxMessageBytes,
      shortStallMs: Math.min(stallMs, keepaliveIntervalMs + keepaliveTimeoutMs),
    });
  }

  /**
   * Closes an idle HTTP/2 connection. Node does not read from a session that sent GOAWAY and has no
   * stream, so it would never notice that the caller closed the connection.
   */
  #closeIfIdle(socket: Socket, connection: Connection): void {
    if (this.#draining && connection.session !== undefined && connection.open.size === 0) {
      connection.goodbye ??= sayGoodbye(socket, connection.session);
    }
  }

  #checkDrained(): void {
    if (this.#settle !== undefined && this.#openCalls === 0) this.#settle();
  }

  #refusal(): MicroError {
    return this.#draining
      ? listenerDraining(this.address)
      : new MicroError(
          "resource_exhausted",
          `${this.address} has ${this.limits.maxConnections} connections, which is its limit (maxConnections)`,
        );
  }
}

/** Closes a connection, after a short time for its pending output. */
async function close(socket: Socket, { session, goodbye }: Connection): Promise<void> {
  if (socket.destroyed) return;
  if (session !== undefined) {
    await (goodbye ?? sayGoodbye(socket, session));
    return;
  }
  const closed = closeOf(socket);
  socket.end();
  socket.resume();
  await within(lingerMs, closed);
  socket.destroy();
  await closed;
}

/**
 * Closes an HTTP/2 connection that accepts no further calls: first gracefully, and then by force.
 */
async function sayGoodbye(socket: Socket, session: ServerHttp2Session): Promise<void> {
  const closed = closeOf(socket);
  await within(goodbyeMs, closed);
  // Sends the pending output before it ends the connection.
  session.close();
  await within(lingerMs, closed);
  session.destroy();
  socket.destroy();
  await closed;
}

function closeOf(socket: Socket): Promise<void> {
  return socket.destroyed
    ? Promise.resolve()
    : new Promise((resolve) => socket.once("close", () => resolve()));
}

/**
 * For HTTP/1.1 requests whose turn had not come when their connection was lost, Node 20 emits no
 * event.
 */
function closePipelined(open: ReadonlySet<HttpResponse>): void {
  for (const response of open) if (!("stream" in response)) response.emit("close");
}

const defaultIdleMs = 300_000;
