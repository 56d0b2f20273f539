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
import { ConnectionPeer } from "../../call/connection-peer.ts";
import type { Format } from "../../codec/codec.ts";
import { jsonFormatWith } from "../../codec/json.ts";
import { listenerDraining } from "../call-errors.ts";
import type { HeaderField } from "../http2/hpack/header-field.ts";
import { defaultHttp2Limits, type Http2Limits } from "../http2/limits.ts";
import { clientCertificate } from "../port/client-certificate.ts";
import type { ProtocolServer, WireProtocol } from "../port/protocol-server.ts";
import { refusalOf } from "../port/refuse-connection.ts";
import { within } from "../settle-within.ts";
import type { Dispatcher, ListenOptions, TransportLimits } from "../transport.ts";
import {
  type AcceptedConnection,
  closeConnection,
  connectionLost,
  lingerMs,
} from "./accepted-connection.ts";
import { accessFields } from "./call-access.ts";
import type { RpcProtocol } from "./call-forms.ts";
import { defaultInflationRatio } from "./compression/inflation.ts";
import { DueStreams } from "./due-streams.ts";
import { Http2Exchange } from "./http2-exchange.ts";
import type { CallListener } from "./incoming-connection.ts";
import { IncomingHttp1Connection } from "./incoming-http1.ts";
import { IncomingHttp2Connection } from "./incoming-http2.ts";
import { IncompleteBytes } from "./incomplete-bytes.ts";
import type { MountedHandler } from "./mounted-routes.ts";
import type { HttpRequest, HttpResponse } from "./request.ts";
import { type Reception, RequestHandler } from "./request-handler.ts";
import { originForm } from "./request-target.ts";
import type { RpcRequest } from "./rpc-request.ts";
import type { HttpServeOptions } from "./serve-options.ts";
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
/** Responds to a go-micro request, which is `POST /` over HTTP/1.1. */
type GoMicroRequests = (
  request: IncomingMessage,
  response: ServerResponse,
  peer: ConnectionPeer,
) => void;

/** The HTTP connections of one listener, whatever accepts their sockets. */
export class HttpProtocolServer implements ProtocolServer, Reception, CallListener {
  readonly dispatcher: Dispatcher;
  readonly limits: TransportLimits;
  readonly address: string;
  readonly access: WebAccess;
  readonly compressMinBytes: number;
  readonly maxRequestBytes: number;
  readonly maxInflationRatio: number;
  readonly servesGoMicro: boolean;
  readonly json: Format;
  readonly mounted: MountedHandler | undefined;
  readonly #options: HttpProtocolOptions;
  readonly #listenOptions: ListenOptions;
  readonly #goMicro: GoMicroRequests | undefined;
  readonly #shutdown = new AbortController();
  readonly #handler: RequestHandler;
  readonly #connections = new Map<Socket, AcceptedConnection>();
  readonly #peers = new WeakMap<object, ConnectionPeer>();
  readonly #transport: string;
  #http1: Http1Server | undefined;
  readonly #incomplete: IncompleteBytes;
  readonly #due: DueStreams = new DueStreams();
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
    const { compressMinBytes, maxRequestBytes, maxInflationRatio, routes } = options;
    this.compressMinBytes = compressMinBytes ?? 1_024;
    this.maxRequestBytes = Math.min(
      limits.maxMessageBytes,
      maxRequestBytes ?? limits.maxMessageBytes,
    );
    this.maxInflationRatio = maxInflationRatio ?? defaultInflationRatio;
    this.servesGoMicro = options.goMicro ?? true;
    this.#options = options;
    this.#listenOptions = listenOptions;
    this.#incomplete = IncompleteBytes.ofProcess(fullConnections * this.#maxIncompleteBytes);
    const { signal } = this.#shutdown;
    // Every open call of a mounted router adds a listener.
    setMaxListeners(0, signal);
    this.mounted = routes?.mount({ limits, options, shutdown: signal });
    this.#handler = new RequestHandler(this, options);
    const { typeRegistry } = options;
    this.json = jsonFormatWith(typeRegistry === undefined ? {} : { registry: typeRegistry });
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
    const peer = new ConnectionPeer(peerAddress, this.#transport, clientCertificate(socket));
    const connection: AcceptedConnection = {
      open,
      peer,
      untaken,
      incomplete: [held, this.#incomplete],
    };
    this.#peers.set(socket, peer);
    this.#connections.set(socket, connection);
    socket.on("error", () => undefined);
    socket.once("close", () => {
      this.#connections.delete(socket);
      untaken.end();
      setImmediate(() => connectionLost(connection));
    });
    if (version === "http2") this.#acceptHttp2(socket, peer, connection);
    else this.#acceptHttp1(socket, peer, connection);
  }

  speaks(protocol: RpcProtocol): boolean {
    return this.#options[protocol] !== false;
  }

  isMounted(path: string): boolean {
    return this.mounted?.has(path) === true;
  }

  accessFields(request: RpcRequest): readonly HeaderField[] | undefined {
    return accessFields(request, this.access, this.#options);
  }

  notReady(): string | undefined {
    return this.#draining ? "draining" : this.#listenOptions.notReady?.();
  }

  renew(): void {
    for (const { http1, http2 } of this.#connections.values()) {
      void http2?.http2.drain();
      http1?.retire();
    }
  }

  drain(): Promise<void> {
    if (this.#drained === undefined) {
      this.#draining = true;
      this.#drained = new Promise((resolve) => {
        this.#settle = resolve;
      });
      for (const [socket, connection] of this.#connections) {
        const { open, http2 } = connection;
        if (http2 !== undefined) void http2.http2.drain(false);
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
      for (const { http1, http2 } of this.#connections.values()) {
        http1?.refuseAll(reason);
        http2?.refuseAll(reason);
      }
      await within(lingerMs, drained);
    }
    await Promise.all(
      [...this.#connections].map(([socket, it]) => closeConnection(socket, it, reason)),
    );
    this.#http1?.close();
    this.#due.close();
  }

  #useHttp1(): Http1Server {
    if (this.#http1 !== undefined) return this.#http1;
    const server = createHttp1Server({
      maxHeaderSize: maxHeaderBytes,
      headersTimeout: this.limits.handshakeTimeoutMs,
      // A stream may last; every reader of a body limits the time for each message.
      requestTimeout: 0,
      keepAliveTimeout: this.#options.idleTimeoutMs ?? defaultIdleMs,
      connectionsCheckingInterval: 1_000,
    });
    server.maxHeadersCount = maxHeaderLines;
    server.on("request", (request, response) => {
      request.url = originForm(request);
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

  /** Bytes of responses that the client of a connection may leave unread. */
  get #maxUnsentBytes(): number {
    return Math.max(defaultHttp2Limits.maxUnsentBytes, 16 * this.limits.maxMessageBytes);
  }

  get #maxConcurrentStreams(): number {
    return Math.min(this.limits.maxConcurrentCalls, this.#options.maxConcurrentStreams ?? 1_000);
  }

  #acceptHttp1(socket: Socket, peer: ConnectionPeer, connection: AcceptedConnection): void {
    const { incomplete, untaken } = connection;
    connection.http1 = new IncomingHttp1Connection(
      peer,
      this,
      incomplete,
      untaken,
      this.#due,
      this.#maxUnsentBytes,
    );
    this.#useHttp1().emit("connection", socket);
  }

  #acceptHttp2(socket: Socket, peer: ConnectionPeer, connection: AcceptedConnection): void {
    const { incomplete } = connection;
    const limits = this.#http2Limits;
    connection.http2 = new IncomingHttp2Connection(socket, peer, limits, this, incomplete, {
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
      connectionEnded: (reason, violated) => {
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
      maxUnsentBytes: this.#maxUnsentBytes,
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
    const { http1 } = connection;
    const isCall = !("stream" in request) && http1?.requested(request, response as ServerResponse);
    if (isCall === true) return;
    if (http1?.closesSoon === true) response.setHeader("connection", "close");
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

const defaultIdleMs = 300_000;
