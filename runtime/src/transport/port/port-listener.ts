import type { Server, Socket } from "node:net";
import type { TLSSocket, Server as TlsServer } from "node:tls";
import { Closable } from "../../base/closable.ts";
import { MicroError } from "../../base/error.ts";
import { checkOptions } from "../../base/option-check.ts";
import { WebAccess } from "../../base/web-access.ts";
import { loadDescriptors } from "../../codec/file-descriptors.ts";
import { callAt, onLeafExpiry, verifiedUntil } from "../certificate-expiry.ts";
import { NativeListener } from "../native/native-listener.ts";
import { nativeRefusal } from "../native/refuse-connection.ts";
import { listenKinds } from "../option-kinds.ts";
import {
  type ClientCertificateRules,
  clientCertificateRules,
  currentIdentity,
  expired,
  handshakeFailed,
  ReloadableIdentity,
  type ServerTlsOptions,
  type TlsIdentity,
} from "../tls.ts";
import type { Dispatcher, Listener, ListenOptions, TransportLimits } from "../transport.ts";
import { readClientCertificate } from "./client-certificate.ts";
import { LazyProtocolServer } from "./lazy-protocol-server.ts";
import type { PortProtocol, ProtocolServer, WireProtocol } from "./protocol-server.ts";
import { ProtocolSniffer, type ProtocolSnifferOwner } from "./protocol-sniffer.ts";
import { listenSocket, peerAddress } from "./socket-server.ts";

/** The protocols of one port. */
export interface PortProtocols {
  /** Whether it speaks the native protocol (docs/wire-protocol.md). */
  readonly native: boolean;
  /**
   * The other protocols. The first one that speaks a connection's protocol serves the connection.
   */
  readonly others: readonly PortProtocol[];
  /** Accepts TLS only. If undefined, accepts no TLS. */
  readonly tls: ServerTlsOptions | undefined;
  /** Names that HTTP requests may use for it, in addition to those of loopback addresses. */
  readonly hosts: readonly string[] | undefined;
}

/**
 * Listens at one address for several protocols. The first bytes of a connection decide which
 * protocol serves it.
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
  checkOptions(`listen at ${address}`, options, listenKinds);
  const tls = protocols.tls === undefined ? undefined : await import("node:tls");
  const listener = new PortListener(dispatcher, limits, transport, protocols, options, tls);
  const bound = await listenSocket(address, (socket) => listener.accept(socket));
  listener.bound(bound.server, bound.address);
  return listener;
}

class PortListener extends Closable<[graceMs?: number]> implements Listener, ProtocolSnifferOwner {
  address = "";
  readonly #limits: TransportLimits;
  readonly #options: ListenOptions;
  readonly #native: NativeListener | undefined;
  readonly #others: readonly (readonly [PortProtocol, LazyProtocolServer])[];
  readonly #servers: readonly ProtocolServer[];
  readonly #firstBytes: ProtocolSniffer;
  readonly #tls: TlsServer | undefined;
  readonly #forgetIdentity: () => void;
  /** Connections whose handshake is in progress. */
  readonly #handshakes = new Set<Socket>();
  #server: Server | undefined;
  #stopped: Promise<void> | undefined;

  constructor(
    dispatcher: Dispatcher,
    limits: TransportLimits,
    transport: string,
    { native, others, tls, hosts }: PortProtocols,
    options: ListenOptions,
    nodeTls: typeof import("node:tls") | undefined,
  ) {
    super();
    this.#limits = limits;
    this.#options = options;
    this.#firstBytes = new ProtocolSniffer(this, limits.handshakeTimeoutMs);
    if (native) this.#native = new NativeListener(dispatcher, limits, transport, options);
    // Created with the first connection, when the address is known.
    let webAccess: WebAccess | undefined;
    const access = () => {
      webAccess ??= new WebAccess({
        address: this.address,
        hosts,
        origins: others.find(({ origins }) => origins !== undefined)?.origins,
        onRefusedHost: options.onRefusedHost,
        onRefusedOrigin: options.onRefusedOrigin,
      });
      return webAccess;
    };
    this.#others = others.map((protocol) => {
      const load = async () => {
        await loadDescriptors();
        return protocol.load({
          dispatcher,
          limits,
          options,
          address: this.address,
          access: access(),
          handBack: others.length > 1 ? (socket) => this.#firstBytes.read(socket) : undefined,
          exchange: this.#others.find(([{ exchanges }]) => exchanges === true)?.[1].exchange,
        });
      };
      return [protocol, new LazyProtocolServer(protocol.name, load, options)];
    });
    const asks = tls !== undefined && clientCertificateRules(tls).mode !== "none";
    this.#tls = tls && nodeTls && this.#secure(tls, nodeTls);
    const identity = tls?.identity;
    this.#forgetIdentity =
      identity instanceof ReloadableIdentity
        ? identity.watch((next) => this.#replace(next, asks))
        : () => undefined;
    this.#servers = [
      ...(this.#native === undefined ? [] : [this.#native]),
      ...this.#others.map(([, server]) => server),
    ];
  }

  get connections(): number {
    const waiting = this.#firstBytes.waiting + this.#handshakes.size;
    return this.#sum((server) => server.connections) + waiting;
  }

  get openCalls(): number {
    return this.#sum((server) => server.openCalls);
  }

  /** Called when the server listens. */
  bound(server: Server, address: string): void {
    this.#server = server;
    this.address = address;
    if (this.#native !== undefined) this.#native.address = address;
    // For example, no file descriptor is left. That must not end the process: the next connection
    // may be accepted.
    server.on("error", (cause) => {
      const reason = `cannot accept a connection at ${address}: ${cause.message}`;
      this.#options.onConnectionError?.(
        new MicroError("resource_exhausted", reason, { cause }),
        "unknown",
      );
    });
  }

  accept(socket: Socket): void {
    if (this.connections > 2 * this.#limits.maxConnections) {
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
    const server = this.#serverOf(protocol);
    if (server === undefined) this.#refuseProtocol(socket, protocol);
    else server.accept(socket, peer, protocol);
  }

  /** Refuses a connection whose protocol is switched off, in that protocol. */
  #refuseProtocol(socket: Socket, protocol: Exclude<WireProtocol, "tls">): void {
    const reason = switchedOff(this.address, protocol);
    this.unrecognized(socket, reason);
    const refusing =
      protocol === "native"
        ? Promise.resolve(nativeRefusal(reason))
        : import("./refuse-connection.ts").then(({ protocolRefusal }) =>
            protocolRefusal(protocol, reason.message),
          );
    refusing.then(
      (bytes) => {
        // With unread bytes, the connection would be reset and the refusal lost.
        socket.resume();
        socket.end(bytes);
        setTimeout(() => socket.destroy(), lingerMs).unref();
      },
      () => socket.destroy(),
    );
  }

  #serverOf(wire: WireProtocol): ProtocolServer | undefined {
    if (wire === "native") return this.#native;
    return this.#others.find(([{ speaks }]) => speaks.includes(wire))?.[1];
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
    return Promise.all(this.#servers.map((server) => server.drain())).then(() => undefined);
  }

  protected override async closeOnce(graceMs = 0): Promise<void> {
    void this.drain();
    await Promise.all(this.#servers.map((server) => server.close(graceMs)));
    await this.#stopped;
  }

  #secure(options: ServerTlsOptions, { createServer }: typeof import("node:tls")): TlsServer {
    const rules = clientCertificateRules(options);
    const asks = rules.mode !== "none";
    const server = createServer(
      {
        ...currentIdentity(options.identity),
        minVersion: "TLSv1.2",
        ALPNProtocols: ["h2", "http/1.1", nativeAlpn],
        handshakeTimeout: this.#limits.handshakeTimeoutMs,
        requestCert: asks,
        // A client that resumes a session presents no certificate, and proves possession of no key.
        ...(asks && { secureOptions: noTickets }),
        // Checked below: Node would leave the underlying connection open.
        rejectUnauthorized: false,
      },
      (socket) => {
        this.#shaken(socket);
        const refusal = asks ? this.#checkClient(socket, rules) : undefined;
        if (refusal !== undefined) this.#refuse(socket, refusal);
        else if (!socket.destroyed) this.#firstBytes.read(socket);
      },
    );
    server.on("tlsClientError", (error, socket) =>
      this.unrecognized(socket, handshakeFailed(error)),
    );
    return server;
  }

  /** Further connections use the identity, and clients are told to open some. */
  #replace(identity: TlsIdentity, asks: boolean): void {
    this.#tls?.setSecureContext({
      ...identity,
      minVersion: "TLSv1.2",
      ...(asks && { secureOptions: noTickets }),
    });
    for (const server of this.#servers) server.renew();
  }

  /** Returns why a client is refused for its certificate; undefined if it is not. */
  #checkClient(
    socket: TLSSocket,
    { mode, isVerified }: ClientCertificateRules,
  ): MicroError | undefined {
    if (socket.isSessionReused()) return handshakeFailed(new Error("a session was resumed"));
    // Before the certificate is read, which takes its issuers from the socket on some versions of
    // Node.
    const expiresAt = verifiedUntil(socket);
    const certificate = readClientCertificate(socket);
    if (certificate === undefined) {
      if (mode === "optional") return undefined;
      return handshakeFailed(new Error("the client presented no certificate"));
    }
    if (isVerified && !socket.authorized) return handshakeFailed(socket.authorizationError);
    const end = (at: Date) => this.#refuse(socket, expired("client", at));
    if (!isVerified) onLeafExpiry(socket, end);
    else if (expiresAt !== undefined) callAt(expiresAt, socket, end);
    return undefined;
  }

  /** Called when a TLS handshake has completed. */
  #shaken(secure: TLSSocket): void {
    // Node exposes the underlying socket only here; addresses do not distinguish connections of a
    // unix socket.
    const { _parent: socket } = secure as TLSSocket & { readonly _parent?: Socket };
    if (socket === undefined || !this.#handshakes.delete(socket)) return;
    secure.once("close", () => socket.destroy());
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

  #sum(figure: (server: ProtocolServer) => number): number {
    let sum = 0;
    for (const server of this.#servers) sum += figure(server);
    return sum;
  }
}

/** How long a refused connection may take to read the reason, in milliseconds. */
const lingerMs = 1_000;

/** `SSL_OP_NO_TICKET` of OpenSSL. */
const noTickets = 0x4000;

/** The ALPN name of native connections, for use where TLS negotiates the protocol. */
const nativeAlpn = "micro-es";

function switchedOff(address: string, protocol: Exclude<WireProtocol, "tls">): MicroError {
  const [name, option] = {
    native: ["the native protocol", "native"],
    "go-micro": ["go-micro's protocol", "goMicro"],
    http1: ["HTTP", "http"],
    http2: ["HTTP", "http"],
  }[protocol];
  return new MicroError(
    "unimplemented",
    `${name} is switched off at ${address} (option ${option}, MICRO_PROTOCOLS)`,
    { outcome: "not-executed" },
  );
}

function notSpoken(address: string, protocol: string): MicroError {
  return new MicroError("unimplemented", `${address} does not speak ${protocol}`, {
    outcome: "not-executed",
  });
}
