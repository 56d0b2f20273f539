import { setMaxListeners } from "node:events";
import {
  createServer as createHttp1Server,
  type Server as Http1Server,
  type IncomingMessage,
  type ServerResponse,
} from "node:http";
import type { Socket } from "node:net";
import { MicroError } from "../../base/error.ts";
import type { WebAccess } from "../../base/web-access.ts";
import type { Peer } from "../../call/call.ts";
import { ConnectionPeer } from "../../call/connection-peer.ts";
import type { Format } from "../../codec/codec.ts";
import { jsonFormatWith } from "../../codec/json.ts";
import { listenerDraining } from "../call-errors.ts";
import { defaultHttp2Limits, type Http2Limits } from "../http2/limits.ts";
import type { ProtocolServer, WireProtocol } from "../port/protocol-server.ts";
import { refusalOf } from "../port/refuse-connection.ts";
import { within } from "../settle-within.ts";
import type { Dispatcher, ListenOptions, TransportLimits } from "../transport.ts";
import { responseFieldsFor } from "./call-access.ts";
import { defaultInflationRatio } from "./compression/inflation.ts";
import { Http2Exchange } from "./http2-exchange.ts";
import { holdIncomplete, IncompleteBytes } from "./incomplete-message.ts";
import type { HttpRequest, HttpResponse } from "./request.ts";
import {
  type HttpConnection,
  type HttpServeOptions,
  type Reception,
  RequestHandler,
} from "./request-handler.ts";
import { RpcConnection } from "./rpc-connection.ts";
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
 * How many connections may hold their full limit of incomplete requests before the limit of the
 * process is reached.
 */
const fullConnections = 4;

/** The largest header of a request, in bytes. */
const maxHeaderBytes = 32 * 1024;
/** The most lines in the header of a request. */
const maxHeaderLines = 160;
/** How long a closed connection may take to send its pending output, in milliseconds. */
const lingerMs = 500;
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
  /** Of HTTP/2. */
  rpc?: RpcConnection;
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
  readonly #json: Format;
  readonly #connections = new Map<Socket, Connection>();
  readonly #peers = new WeakMap<object, ConnectionPeer>();
  readonly #transport: string;
  #http1: Http1Server | undefined;
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
    this.#incomplete = IncompleteBytes.ofProcess(fullConnections * this.#maxIncompleteBytes);
    // Every open call adds a listener.
    setMaxListeners(0, this.shutdown);
    this.#handler = new RequestHandler(this, options);
    const { typeRegistry } = options;
    this.#json = jsonFormatWith(typeRegistry === undefined ? {} : { registry: typeRegistry });
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
    const held = IncompleteBytes.ofConnection(this.#maxIncompleteBytes);
    const connection: Connection = { open, untaken, incomplete: [held, this.#incomplete] };
    this.#connections.set(socket, connection);
    const peer = new ConnectionPeer(peerAddress, this.#transport);
    this.#peers.set(socket, peer);
    socket.on("error", () => undefined);
    socket.once("close", () => {
      this.#connections.delete(socket);
      untaken.end();
      setImmediate(() => closePipelined(open));
    });
    if (version === "http2") this.#acceptHttp2(socket, peer, connection);
    else this.#useHttp1().emit("connection", socket);
  }

  peer(request: HttpRequest): Peer {
    // A stream names its peer as its session.
    if ("stream" in request) return request.stream.session as unknown as ConnectionPeer;
    return this.#peers.get(request.socket) ?? { address: "", transport: this.#transport };
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
        const { open, rpc } = connection;
        if (rpc !== undefined) void rpc.http2.drain(false);
        else if (open.size === 0) socket.end();
      }
      this.#checkDrained();
    }
    return this.#drained;
  }

  async close(graceMs: number): Promise<void> {
    const drained = this.drain();
    const reason = new MicroError("unavailable", `the listener at ${this.address} was closed`);
    if (this.#openCalls > 0) await within(graceMs, drained);
    if (this.#openCalls > 0) {
      this.#shutdown.abort(reason);
      for (const { rpc } of this.#connections.values()) rpc?.refuseAll(reason);
      await within(lingerMs, drained);
    }
    await Promise.all(
      [...this.#connections].map(([socket, connection]) => close(socket, connection, reason)),
    );
    this.#http1?.close();
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

  get #maxIncompleteBytes(): number {
    const { maxIncompleteBytes = 64 * 1024 * 1024 } = this.#options;
    return Math.max(maxIncompleteBytes, this.limits.maxMessageBytes);
  }

  get #maxConcurrentStreams(): number {
    return Math.min(this.limits.maxConcurrentCalls, this.#options.maxConcurrentStreams ?? 1_000);
  }

  #acceptHttp2(socket: Socket, peer: ConnectionPeer, connection: Connection): void {
    const { incomplete } = connection;
    connection.rpc = new RpcConnection(socket, peer, this.limits, this.#http2Limits, {
      address: this.address,
      dispatcher: this.dispatcher,
      compressMinBytes: this.#options.compressMinBytes ?? 1_024,
      maxInflationRatio: this.#options.maxInflationRatio ?? defaultInflationRatio,
      maxRequestBytes: Math.min(
        this.limits.maxMessageBytes,
        this.#options.maxRequestBytes ?? this.limits.maxMessageBytes,
      ),
      json: this.#json,
      responseFieldsFor: (request) =>
        responseFieldsFor(request, this.access, this.#options, (path) =>
          this.#handler.isMounted(path),
        ),
      holdIncomplete: (bytes) => holdIncomplete(incomplete, bytes),
      callBegan: () => {
        this.#openCalls++;
      },
      callEnded: () => {
        this.#openCalls--;
        this.#checkDrained();
      },
      otherRequest: (stream, head, list, hasEnded) => {
        const exchange = new Http2Exchange(stream, head, list, peer, "encrypted" in socket);
        stream.handler = exchange;
        if (hasEnded) exchange.onEnd();
        this.#begin(socket, exchange.request, exchange.response);
        return exchange;
      },
      connectionEnded: (_connection, reason, violated) => {
        if (violated) this.#listenOptions.onConnectionError?.(reason, peer.address);
      },
    });
  }

  get #http2Limits(): Http2Limits {
    const { limits } = this;
    const { keepaliveIntervalMs, keepaliveTimeoutMs, maxMessageBytes } = limits;
    const idleTimeoutMs = this.#options.idleTimeoutMs ?? defaultIdleMs;
    return {
      ...defaultHttp2Limits,
      maxConcurrentStreams: this.#maxConcurrentStreams,
      maxHeaderListBytes: maxHeaderBytes,
      maxHeaderFields: maxHeaderLines,
      streamWindowBytes: limits.streamWindowBytes,
      connectionWindowBytes: Math.max(1024 * 1024, 4 * limits.streamWindowBytes),
      maxUnsentBytes: Math.max(defaultHttp2Limits.maxUnsentBytes, 16 * maxMessageBytes),
      handshakeTimeoutMs: limits.handshakeTimeoutMs,
      keepaliveIntervalMs,
      keepaliveTimeoutMs,
      idleTimeoutMs,
      stallTimeoutMs: idleTimeoutMs,
      shortStallTimeoutMs: Math.min(idleTimeoutMs, keepaliveIntervalMs + keepaliveTimeoutMs),
      maxStalledBytes: 4 * maxMessageBytes,
    };
  }

  /** Starts handling a request, and counts it until the response has ended. */
  #begin(socket: Socket, request: HttpRequest, response: HttpResponse): void {
    const connection = this.#connections.get(socket);
    if (connection === undefined) return;
    this.#openCalls++;
    connection.open.add(response);
    response.once("close", () => {
      this.#openCalls--;
      connection.open.delete(response);
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
async function close(socket: Socket, { rpc }: Connection, reason: MicroError): Promise<void> {
  if (socket.destroyed) return;
  const closed = closeOf(socket);
  if (rpc === undefined) {
    socket.end();
    socket.resume();
  } else {
    await within(goodbyeMs, rpc.http2.drain(false));
    rpc.http2.close(reason);
  }
  await within(lingerMs, closed);
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
