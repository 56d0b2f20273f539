import { setMaxListeners } from "node:events";
import { createServer as createHttp1Server, type Server as Http1Server } from "node:http";
import {
  createServer as createHttp2Server,
  type Http2Server,
  type ServerHttp2Session,
} from "node:http2";
import type { Socket } from "node:net";
import { MicroError } from "../../error.ts";
import { listenerDraining } from "../call-errors.ts";
import type { Front, WireProtocol } from "../front.ts";
import type { Dispatcher, ListenOptions, TransportLimits } from "../transport.ts";
import { within } from "../within.ts";
import { refusalOf } from "./connection-refusal.ts";
import type { HttpRequest, HttpResponse } from "./http-request.ts";
import { Http2Guard } from "./http2-guard.ts";
import { type HttpServeOptions, type Reception, RequestHandler } from "./request-handler.ts";
import { UntakenAnswers } from "./untaken-answers.ts";

/** How HTTP is spoken at a listener. */
export interface HttpFrontOptions extends HttpServeOptions {
  /**
   * A connection without a request is closed after this long, in milliseconds, and so is a call of whose answer nothing
   * is taken for so long. Default 300,000.
   */
  readonly idleTimeoutMs?: number;
  /** Calls that one HTTP/2 connection may have open at once. Default 1,000, and the transport's limit. */
  readonly maxConcurrentStreams?: number;
}

/** The most that the header of a request may measure, in bytes. */
const maxHeaderBytes = 32 * 1024;
/** The most lines that the header of a request may have. */
const maxHeaderLines = 160;
/** How long a closed connection may take to send what was written, in milliseconds. */
const lingerMs = 1_000;
/** How long callers by HTTP/2 have to close a connection that is to take no further call. */
const goodbyeMs = 250;

/** What is known of one connection. */
interface Connection {
  /** Answers that are not over. */
  readonly open: Set<HttpResponse>;
  readonly untaken: UntakenAnswers;
  /** Of HTTP/2. */
  session?: ServerHttp2Session;
}

/** The HTTP connections of one listener, whatever accepts their sockets. */
export class HttpFront implements Front, Reception {
  readonly dispatcher: Dispatcher;
  readonly limits: TransportLimits;
  readonly address: string;
  readonly shutdown: AbortSignal;
  readonly #options: HttpFrontOptions;
  readonly #listenOptions: ListenOptions;
  readonly #shutdown = new AbortController();
  readonly #handler: RequestHandler;
  readonly #connections = new Map<Socket, Connection>();
  /** The sessions of HTTP/2, with what Node shows of them only by a proxy. */
  readonly #sockets = new Map<ServerHttp2Session, Socket>();
  readonly #peers = new WeakMap<object, string>();
  /** The connection that is just handed to a server of Node. */
  #accepting: Socket | undefined;
  #http1: Http1Server | undefined;
  #http2: Http2Server | undefined;
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
    options: HttpFrontOptions,
    listenOptions: ListenOptions,
  ) {
    this.dispatcher = dispatcher;
    this.limits = limits;
    this.address = address;
    this.shutdown = this.#shutdown.signal;
    this.#options = options;
    this.#listenOptions = listenOptions;
    // Every open call listens to it.
    setMaxListeners(0, this.shutdown);
    this.#handler = new RequestHandler(this, options, transport);
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

  /** Serves a connection whose first bytes, which are still unread, are those of this version of HTTP. */
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
    const untaken = this.#untakenAnswers();
    const open = new Set<HttpResponse>();
    this.#connections.set(socket, { open, untaken });
    this.#peers.set(socket, peerAddress);
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

  peerAddress(request: HttpRequest): string {
    const key = "stream" in request ? request.stream.session : request.socket;
    return (key && this.#peers.get(key)) ?? "";
  }

  drain(): Promise<void> {
    if (this.#drained === undefined) {
      this.#draining = true;
      this.#drained = new Promise((resolve) => {
        this.#settle = resolve;
      });
      for (const [socket, { open, session }] of this.#connections) {
        // With the true last stream: Node would lose what comes after one that names a later stream. The connection stays, because a
        // caller who reads its end together with his answer may take the answer for lost, as grpc-js does.
        if (session?.destroyed === false) session.goaway();
        else if (session === undefined && open.size === 0) socket.end();
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
      [...this.#connections].map(([socket, { session }]) => close(socket, session)),
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
      this.#begin(request.socket, request, response);
    });
    // It does not listen by itself, and begins to check its timeouts with this event.
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
        maxConcurrentStreams: Math.min(
          this.limits.maxConcurrentCalls,
          this.#options.maxConcurrentStreams ?? 1_000,
        ),
        maxHeaderListSize: maxHeaderBytes,
        initialWindowSize: this.limits.streamWindowBytes,
        enablePush: false,
      },
    });
    server.on("session", (session) => this.#opened(session));
    server.on("request", (request, response) => {
      const { session } = request.stream;
      const socket = session && this.#sockets.get(session as ServerHttp2Session);
      if (socket !== undefined) this.#begin(socket, request, response);
    });
    // A session's error ends that session; its calls hear of it by their own streams.
    server.on("sessionError", () => undefined);
    this.#http2 = server;
    return server;
  }

  #opened(session: ServerHttp2Session): void {
    const socket = this.#accepting;
    if (socket === undefined) {
      session.destroy();
      return;
    }
    const peer = this.#peers.get(socket) ?? "";
    this.#peers.set(session, peer);
    this.#sockets.set(session, socket);
    const connection = this.#connections.get(socket);
    if (connection !== undefined) connection.session = session;
    session.once("close", () => this.#sockets.delete(session));
    session.setLocalWindowSize(Math.max(1024 * 1024, 4 * this.limits.streamWindowBytes));
    new Http2Guard(session, socket, {
      limits: this.limits,
      idleTimeoutMs: this.#options.idleTimeoutMs ?? defaultIdleMs,
      onViolation: (error) => this.#listenOptions.onConnectionError?.(error, peer),
    });
  }

  /** Lets a request be answered, and counts it until that is over. */
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
    this.#handler.handle(request, response, connection.untaken);
  }

  #untakenAnswers(): UntakenAnswers {
    const { keepaliveIntervalMs, keepaliveTimeoutMs, maxMessageBytes } = this.limits;
    const stallMs = this.#options.idleTimeoutMs ?? defaultIdleMs;
    return new UntakenAnswers({
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

/** Lets what was written go out, at most for a moment, and callers by HTTP/2 close first. */
async function close(socket: Socket, session: ServerHttp2Session | undefined): Promise<void> {
  if (socket.destroyed) return;
  const closed = new Promise<void>((resolve) => socket.once("close", () => resolve()));
  if (session !== undefined) {
    await within(goodbyeMs, closed);
    session.destroy();
  } else {
    socket.end();
    socket.resume();
  }
  await within(lingerMs, closed);
  socket.destroy();
  await closed;
}

/** Node 20 says of those by HTTP/1.1 whose turn had not come when their connection was lost nothing at all. */
function closePipelined(open: ReadonlySet<HttpResponse>): void {
  for (const response of open) if (!("stream" in response)) response.emit("close");
}

const defaultIdleMs = 300_000;
