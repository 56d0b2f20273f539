import type { IncomingMessage, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { DeadlineSweep } from "../base/deadline.ts";
import { MicroError } from "../base/error.ts";
import type { WebAccess } from "../base/web-access.ts";
import { ConnectionPeer } from "../call/connection-peer.ts";
import { listenerDraining } from "../transport/call-errors.ts";
import { clientCertificate } from "../transport/port/client-certificate.ts";
import type { ProtocolServer } from "../transport/port/protocol-server.ts";
import { within } from "../transport/settle-within.ts";
import type { Dispatcher, ListenOptions, TransportLimits } from "../transport/transport.ts";
import type { GoMicroConnection } from "./connection.ts";
import { ExchangeConnection } from "./exchange-connection.ts";
import type { IncomingCall } from "./incoming-call.ts";
import { IncomingConnection, type IncomingConnections } from "./incoming-connection.ts";
import { SocketConnection } from "./socket-connection.ts";

/** How a listener serves go-micro's protocol. */
export interface GoMicroServeOptions {
  /**
   * A connection without a call is closed after this long, in milliseconds. go-micro uses
   * connections for a minute. Default 300,000.
   */
  readonly idleTimeoutMs?: number;
}

const defaultIdleMs = 300_000;

/** Everything that speaks go-micro's mucp at one listener, whatever carries its messages. */
export class GoMicroProtocolServer implements ProtocolServer, IncomingConnections {
  readonly dispatcher: Dispatcher;
  readonly limits: TransportLimits;
  readonly address: string;
  readonly transport: string;
  readonly #options: GoMicroServeOptions;
  readonly #onForeign: ((socket: Socket) => void) | undefined;
  readonly #listenOptions: ListenOptions;
  readonly access: WebAccess | undefined;
  /** The connections, with what ends each. */
  readonly #connections = new Map<IncomingConnection, GoMicroConnection>();
  /** Closes each connection when it is idle. */
  readonly #onIdle = new Map<IncomingConnection, () => void>();
  readonly #calls = new Set<IncomingCall>();
  /** Connections that verify a caller. */
  #verifying = 0;
  readonly #deadlines = new DeadlineSweep((now) => this.#expire(now));
  #draining = false;
  #settle: (() => void) | undefined;
  #drained: Promise<void> | undefined;
  #gone: (() => void) | undefined;

  /**
   * @param access rejects web pages; undefined if none can connect.
   * @param onForeign receives connections whose next request, still unread, is not from go-micro.
   * @param transport name of the transport, for {@link Peer.transport}.
   */
  constructor(
    dispatcher: Dispatcher,
    limits: TransportLimits,
    transport: string,
    address: string,
    options: GoMicroServeOptions,
    listenOptions: ListenOptions,
    access?: WebAccess,
    onForeign?: (socket: Socket) => void,
  ) {
    this.#onForeign = onForeign;
    this.access = access;
    this.dispatcher = dispatcher;
    this.limits = limits;
    this.transport = transport;
    this.address = address;
    this.#options = options;
    this.#listenOptions = listenOptions;
  }

  get connections(): number {
    return this.#connections.size;
  }

  get openCalls(): number {
    return this.#calls.size + this.#verifying;
  }

  get handsOver(): boolean {
    return this.#onForeign !== undefined;
  }

  get draining(): boolean {
    return this.#draining;
  }

  accept(socket: Socket, peerAddress: string): void {
    if (!this.#hasRoom(peerAddress)) {
      socket.destroy();
      return;
    }
    const served = this.add(
      new ConnectionPeer(peerAddress, this.transport, clientCertificate(socket)),
      (owner) => new SocketConnection(socket, peerAddress, this.limits, owner),
    );
    const idleMs = this.#options.idleTimeoutMs ?? defaultIdleMs;
    const onIdle = () => {
      if (served.openCalls === 0) socket.destroy();
    };
    this.#onIdle.set(served, onIdle);
    socket.setTimeout(idleMs, onIdle);
  }

  /** Serves a connection that `open` creates. */
  add(
    peer: ConnectionPeer,
    open: (owner: IncomingConnection) => GoMicroConnection,
  ): IncomingConnection {
    const served = new IncomingConnection(this, peer);
    const connection = open(served);
    this.#connections.set(served, connection);
    served.attach(connection);
    return served;
  }

  begin(call: IncomingCall): void {
    this.#calls.add(call);
    this.#deadlines.watch(call.call.deadline);
  }

  ended(call: IncomingCall): void {
    this.#calls.delete(call);
    this.#checkDrained();
  }

  verifying(change: 1 | -1): void {
    this.#verifying += change;
    this.#checkDrained();
  }

  /**
   * A proxy sends requests of different callers on one connection, so each request is routed
   * individually: one that is not `POST /` goes to the HTTP server of the listener.
   */
  handOver(connection: IncomingConnection, socket: Socket): void {
    const onIdle = this.#onIdle.get(connection);
    if (onIdle !== undefined) socket.off("timeout", onIdle);
    socket.setTimeout(0);
    this.connectionClosed(connection);
    if (!socket.destroyed) this.#onForeign?.(socket);
  }

  /**
   * Responds to one request on an HTTP connection that also carries others. The connection does not
   * belong to this server.
   */
  exchange(request: IncomingMessage, response: ServerResponse, peer: ConnectionPeer): void {
    const { address } = peer;
    this.add(
      new ConnectionPeer(address, this.transport, peer.certificate, peer),
      (owner) => new ExchangeConnection(request, response, address, this.limits, owner),
    );
  }

  connectionClosed(connection: IncomingConnection): void {
    this.#onIdle.delete(connection);
    this.#connections.delete(connection);
    if (this.#connections.size === 0) this.#gone?.();
  }

  violated(error: MicroError, peer: string): void {
    this.#listenOptions.onConnectionError?.(error, peer);
  }

  /** Connections stay as they are, for the reason that {@link drain} gives. */
  renew(): void {}

  /**
   * Refuses calls. Connections stay open: go-micro clients treat a connection that closes as a
   * failed call, and learn from the registry that a node has gone.
   */
  drain(): Promise<void> {
    this.#drained ??= new Promise((resolve) => {
      this.#draining = true;
      this.#settle = resolve;
      this.#checkDrained();
    });
    return this.#drained;
  }

  async close(graceMs: number): Promise<void> {
    const drained = this.drain();
    if (this.openCalls > 0) await within(graceMs, drained);
    const reason = new MicroError("unavailable", `the listener at ${this.address} was closed`);
    for (const call of [...this.#calls]) call.cancel(reason);
    this.#deadlines.close();
    if (this.#connections.size === 0) return;
    const gone = new Promise<void>((resolve) => {
      this.#gone = resolve;
    });
    for (const connection of this.#connections.values()) connection.end();
    await gone;
  }

  #hasRoom(peerAddress: string): boolean {
    const full = this.#connections.size >= this.limits.maxConnections;
    if (!full && !this.#draining) return true;
    const refusal = full
      ? new MicroError(
          "resource_exhausted",
          `${this.address} has ${this.limits.maxConnections} connections, which is its limit (maxConnections)`,
        )
      : listenerDraining(this.address);
    this.violated(refusal, peerAddress);
    return false;
  }

  #expire(now: number): number {
    let next = Number.POSITIVE_INFINITY;
    for (const call of [...this.#calls]) {
      const { deadline } = call.call;
      if (deadline <= now) call.expire();
      else next = Math.min(next, deadline);
    }
    return next;
  }

  #checkDrained(): void {
    if (this.openCalls === 0) this.#settle?.();
  }
}
