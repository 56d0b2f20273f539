import type { Server, Socket } from "node:net";
import type { TLSSocket, Server as TlsServer } from "node:tls";
import { MicroError } from "../error.ts";
import { FirstBytes, type FirstBytesOwner } from "./first-bytes.ts";
import type { Front, WireProtocol } from "./front.ts";
import type { GoMicroServeOptions } from "./go-micro/go-micro-front.ts";
import type { HttpFrontOptions } from "./http/http-front.ts";
import { LazyFront } from "./lazy-front.ts";
import { NativeListener } from "./native/native-listener.ts";
import { listenSocket, peerAddress } from "./socket-server.ts";
import {
  currentIdentity,
  handshakeFailed,
  ReloadableIdentity,
  type ServerTlsOptions,
} from "./tls.ts";
import type { Dispatcher, Listener, ListenOptions, TransportLimits } from "./transport.ts";

/** What is spoken at one port. */
export interface PortProtocols {
  /** The native protocol (docs/wire-protocol.md). */
  readonly native: boolean;
  /** HTTP/1.1 and HTTP/2 with prior knowledge (docs/http.md); undefined turns it off. */
  readonly http: HttpFrontOptions | undefined;
  /** go-micro's HTTP transport and its RPC on it (docs/go-micro.md); undefined turns it off. */
  readonly goMicro: GoMicroServeOptions | undefined;
  /** All of it only by TLS; undefined: none. */
  readonly tls: ServerTlsOptions | undefined;
}

/**
 * Listens at one address for several protocols; the first bytes of a connection decide who serves it.
 *
 * @param transport name of the transport, for {@link Peer.transport} of native calls.
 * @throws MicroError as `Transport.listen`.
 */
export async function listenOnPort(
  address: string,
  dispatcher: Dispatcher,
  limits: TransportLimits,
  transport: string,
  protocols: PortProtocols,
  options: ListenOptions,
): Promise<Listener> {
  const tls = protocols.tls === undefined ? undefined : await import("node:tls");
  const listener = new PortListener(dispatcher, limits, transport, protocols, options, tls);
  const bound = await listenSocket(address, (socket) => listener.accept(socket));
  listener.bound(bound.server, bound.address);
  return listener;
}

class PortListener implements Listener, FirstBytesOwner {
  address = "";
  readonly #limits: TransportLimits;
  readonly #options: ListenOptions;
  readonly #native: NativeListener | undefined;
  readonly #http: LazyFront | undefined;
  readonly #goMicro: LazyFront | undefined;
  readonly #fronts: readonly Front[];
  readonly #firstBytes: FirstBytes;
  readonly #tls: TlsServer | undefined;
  readonly #forgetIdentity: () => void;
  /** Connections whose handshake is under way. */
  readonly #handshakes = new Set<Socket>();
  #server: Server | undefined;
  #stopped: Promise<void> | undefined;
  #closed: Promise<void> | undefined;

  constructor(
    dispatcher: Dispatcher,
    limits: TransportLimits,
    transport: string,
    { native, http, goMicro, tls }: PortProtocols,
    options: ListenOptions,
    nodeTls: typeof import("node:tls") | undefined,
  ) {
    this.#limits = limits;
    this.#options = options;
    this.#firstBytes = new FirstBytes(this, limits.handshakeTimeoutMs);
    if (native) this.#native = new NativeListener(dispatcher, limits, transport, options);
    if (http !== undefined) {
      this.#http = new LazyFront(async () => {
        const { HttpFront } = await import("./http/http-front.ts");
        return new HttpFront(dispatcher, limits, "http", this.address, http, options);
      }, options);
    }
    if (goMicro !== undefined) {
      this.#goMicro = new LazyFront(async () => {
        const { GoMicroFront } = await import("./go-micro/go-micro-front.ts");
        return new GoMicroFront(dispatcher, limits, "go-micro", this.address, goMicro, options);
      }, options);
    }
    this.#tls = tls && nodeTls && this.#secure(tls, nodeTls);
    const identity = tls?.identity;
    this.#forgetIdentity =
      identity instanceof ReloadableIdentity
        ? identity.watch((next) => this.#tls?.setSecureContext({ ...next, minVersion: "TLSv1.2" }))
        : () => undefined;
    this.#fronts = [this.#native, this.#http, this.#goMicro].filter((front) => front !== undefined);
  }

  get connections(): number {
    const waiting = this.#firstBytes.waiting + this.#handshakes.size;
    return this.#sum((front) => front.connections) + waiting;
  }

  get openCalls(): number {
    return this.#sum((front) => front.openCalls);
  }

  /** The server listens now. */
  bound(server: Server, address: string): void {
    this.#server = server;
    this.address = address;
    if (this.#native !== undefined) this.#native.address = address;
    // As when no file descriptor is left. It must not end the process, and the next one may be accepted.
    server.on("error", (cause) => {
      const reason = `cannot accept a connection at ${address}: ${cause.message}`;
      this.#options.onConnectionError?.(
        new MicroError("resource_exhausted", reason, { cause }),
        "unknown",
      );
    });
  }

  accept(socket: Socket): void {
    if (this.#fronts.length === 1 && this.#native !== undefined && this.#tls === undefined) {
      this.#native.accept(socket, peerAddress(socket, this.address));
    } else if (this.connections > 2 * this.#limits.maxConnections) {
      socket.destroy();
    } else {
      this.#firstBytes.read(socket);
    }
  }

  recognized(socket: Socket, protocol: WireProtocol): void {
    const peer = peerAddress(socket, this.address);
    const isSecure = (socket as Partial<TLSSocket>).encrypted === true;
    if (this.#tls !== undefined && !isSecure) {
      if (protocol === "tls") this.#handshake(this.#tls, socket);
      else this.#refuse(socket, notSpoken(this.address, `${protocol} without TLS`));
      return;
    }
    if (protocol === "tls") {
      this.#refuse(socket, notSpoken(this.address, "TLS"));
      return;
    }
    const front = this.#frontOf(protocol);
    if (front === undefined) this.#refuse(socket, notSpoken(this.address, protocol));
    else front.accept(socket, peer, protocol);
  }

  /** go-micro's first bytes are HTTP's as well, and are answered as such where it is turned off. */
  #frontOf(protocol: WireProtocol): Front | undefined {
    if (protocol === "native") return this.#native;
    return protocol === "go-micro" ? (this.#goMicro ?? this.#http) : this.#http;
  }

  unrecognized(socket: Socket, reason: MicroError): void {
    this.#options.onConnectionError?.(reason, peerAddress(socket, this.address));
  }

  drain(): Promise<void> {
    this.#stopped ??= new Promise((resolve) => {
      this.#server?.close(() => resolve());
    });
    this.#firstBytes.close();
    for (const socket of this.#handshakes) socket.destroy();
    this.#forgetIdentity();
    return Promise.all(this.#fronts.map((front) => front.drain())).then(() => undefined);
  }

  close(graceMs = 0): Promise<void> {
    this.#closed ??= this.#end(graceMs);
    return this.#closed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #end(graceMs: number): Promise<void> {
    void this.drain();
    await Promise.all(this.#fronts.map((front) => front.close(graceMs)));
    await this.#stopped;
  }

  #secure(
    { identity, requireClientCertificate = false }: ServerTlsOptions,
    { createServer }: typeof import("node:tls"),
  ): TlsServer {
    const server = createServer(
      {
        ...currentIdentity(identity),
        minVersion: "TLSv1.2",
        ALPNProtocols: ["h2", "http/1.1", nativeAlpn],
        handshakeTimeout: this.#limits.handshakeTimeoutMs,
        requestCert: requireClientCertificate,
        // Judged below: Node would leave the connection under it open.
        rejectUnauthorized: false,
      },
      (socket) => {
        this.#shaken(socket);
        if (!requireClientCertificate || socket.authorized) this.#firstBytes.read(socket);
        else this.#refuse(socket, handshakeFailed(socket.authorizationError));
      },
    );
    server.on("tlsClientError", (error, socket) =>
      this.unrecognized(socket, handshakeFailed(error)),
    );
    return server;
  }

  /** The handshake of a connection is over. */
  #shaken(secure: TLSSocket): void {
    for (const socket of this.#handshakes) {
      if (
        socket.remotePort === secure.remotePort &&
        socket.remoteAddress === secure.remoteAddress
      ) {
        this.#handshakes.delete(socket);
        secure.once("close", () => socket.destroy());
      }
    }
  }

  #handshake(tls: TlsServer, socket: Socket): void {
    const over = () => this.#handshakes.delete(socket);
    this.#handshakes.add(socket);
    socket.once("close", over);
    tls.emit("connection", socket);
  }

  #refuse(socket: Socket, reason: MicroError): void {
    this.unrecognized(socket, reason);
    socket.destroy();
  }

  #sum(figure: (front: Front) => number): number {
    let sum = 0;
    for (const front of this.#fronts) sum += figure(front);
    return sum;
  }
}

/** What native connections are called where TLS lets both sides choose. */
const nativeAlpn = "micro-es";

function notSpoken(address: string, protocol: string): MicroError {
  return new MicroError("unimplemented", `${address} does not speak ${protocol}`, {
    outcome: "not-executed",
  });
}
