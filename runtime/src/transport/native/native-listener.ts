import type { Socket } from "node:net";
import { MicroError } from "../../base/error.ts";
import { ConnectionPeer } from "../../call/connection-peer.ts";
import { clientCertificate } from "../port/client-certificate.ts";
import { within } from "../settle-within.ts";
import type { Dispatcher, ListenOptions, TransportLimits } from "../transport.ts";
import { ServerConnection, type ServerConnectionOwner } from "./server-connection.ts";

/**
 * The time that clients have to disconnect after their last call has its response, in milliseconds.
 */
const leavingMs = 500;

/**
 * The connections of one listener, whatever accepts their sockets. It speaks the native protocol on
 * each socket that it is given.
 */
export class NativeListener implements ServerConnectionOwner {
  readonly dispatcher: Dispatcher;
  /** Where it listens; set once that is known. */
  address = "";
  readonly #limits: TransportLimits;
  readonly #transport: string;
  readonly #options: ListenOptions;
  readonly #connections = new Set<ServerConnection>();
  #draining = false;
  #drained: Promise<void> | undefined;
  /** Called when the last call has ended, and when the last connection has ended. */
  #onLastResponse: (() => void) | undefined;
  #left: (() => void) | undefined;

  /** @param transport name of the transport, for {@link Peer.transport}. */
  constructor(
    dispatcher: Dispatcher,
    limits: TransportLimits,
    transport: string,
    options: ListenOptions = {},
  ) {
    this.dispatcher = dispatcher;
    this.#limits = limits;
    this.#transport = transport;
    this.#options = options;
  }

  get connections(): number {
    return this.#connections.size;
  }

  get openCalls(): number {
    let calls = 0;
    for (const connection of this.#connections) calls += connection.openCalls;
    return calls;
  }

  get draining(): boolean {
    return this.#draining;
  }

  /**
   * Serves a connection. Bytes already read from it must first be returned with `socket.unshift`.
   */
  accept(socket: Socket, peerAddress: string): void {
    const peer = new ConnectionPeer(peerAddress, this.#transport, clientCertificate(socket));
    const connection = new ServerConnection(socket, peer, this.#limits, this);
    this.#connections.add(connection);
    if (this.#connections.size > this.#limits.maxConnections) {
      connection.refuse(
        new MicroError(
          "resource_exhausted",
          `${this.address} has ${this.#limits.maxConnections} connections, which is its limit (maxConnections)`,
        ),
      );
    }
  }

  renew(): void {
    for (const connection of this.#connections) connection.drain();
  }

  drain(): Promise<void> {
    this.#drained ??= this.#drain();
    return this.#drained;
  }

  async #drain(): Promise<void> {
    this.#draining = true;
    for (const connection of this.#connections) connection.drain();
    if (this.openCalls > 0) {
      await new Promise<void>((resolve) => {
        this.#onLastResponse = resolve;
      });
    }
    // Clients disconnect once they learn of the drain. Calls that they sent before are refused;
    // closing the connection instead would leave their outcome unknown.
    if (this.#connections.size > 0) await within(leavingMs, this.#untilLeft());
  }

  #untilLeft(): Promise<void> {
    return new Promise((resolve) => {
      this.#left = resolve;
    });
  }

  /**
   * Drains for at most `graceMs`, cancels the remaining calls, and resolves when every socket is
   * closed.
   */
  async close(graceMs: number): Promise<void> {
    const drained = this.drain();
    await within(graceMs, drained);
    const reason = new MicroError("unavailable", `the listener at ${this.address} was closed`);
    await Promise.all(
      [...this.#connections].map((connection) => {
        const { socket } = connection;
        const closed = socket.closed
          ? undefined
          : new Promise<void>((resolve) => socket.once("close", () => resolve()));
        connection.close(reason);
        return closed;
      }),
    );
  }

  callEnded(): void {
    if (this.#onLastResponse !== undefined && this.openCalls === 0) this.#onLastResponse();
  }

  connectionEnded(connection: ServerConnection, reason: MicroError, violated: boolean): void {
    this.#connections.delete(connection);
    this.callEnded();
    if (this.#connections.size === 0) this.#left?.();
    if (violated) this.#options.onConnectionError?.(reason, connection.remote);
  }
}
