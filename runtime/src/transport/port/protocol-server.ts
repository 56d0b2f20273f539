import type { IncomingMessage, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import type { WebAccess } from "../../base/web-access.ts";
import type { ConnectionPeer } from "../../call/connection-peer.ts";
import type { Dispatcher, ListenOptions, TransportLimits } from "../transport.ts";

/** The protocol of a connection, as detected from its first bytes. */
export type WireProtocol = "native" | "go-micro" | "http1" | "http2" | "tls";

/** Responds to one HTTP/1.1 request; its connection belongs to the protocol that received it. */
export type ExchangeHandler = (
  request: IncomingMessage,
  response: ServerResponse,
  peer: ConnectionPeer,
) => void;

/** Serves the connections of one listener that speak one family of protocols. */
export interface ProtocolServer {
  readonly connections: number;
  readonly openCalls: number;
  /** Serves a connection whose first bytes, still unread, are those of the protocol. */
  accept(socket: Socket, peerAddress: string, protocol: WireProtocol): void;
  /**
   * Present if requests of this protocol also arrive on HTTP/1.1 connections, as behind a proxy.
   */
  readonly exchange?: ExchangeHandler;
  /**
   * Tells the clients of the present connections to open others, for their further calls. Each
   * connection is closed when its calls have ended. Does nothing where a protocol has no such
   * message.
   */
  renew(): void;
  /** Refuses new calls, and resolves when the last call has its response. Idempotent. */
  drain(): Promise<void>;
  /**
   * Drains for at most `graceMs`, cancels the remaining calls, and resolves when every socket is
   * closed.
   */
  close(graceMs: number): Promise<void>;
}

/** The parameters of a port for its protocols. */
export interface PortContext {
  readonly dispatcher: Dispatcher;
  readonly limits: TransportLimits;
  readonly options: ListenOptions;
  /** Where the port listens, with the actual port number. */
  readonly address: string;
  /** Decides which web pages may call. */
  readonly access: WebAccess;
  /**
   * Returns a connection whose next request, still unread, belongs to another protocol of the port.
   */
  readonly handBack: ((socket: Socket) => void) | undefined;
  /** Passes a request to the protocol of the port that shares HTTP/1.1 connections. */
  readonly exchange: ExchangeHandler | undefined;
}

/** A protocol that a port can speak; a transport lists those of its listeners. */
export interface PortProtocol {
  /** Its name in error messages, such as `HTTP`. */
  readonly name: string;
  /**
   * The wire protocols that it serves. If two protocols of a port list the same one, the first
   * serves it.
   */
  readonly speaks: readonly WireProtocol[];
  /** Whether its servers have {@link ProtocolServer.exchange}. */
  readonly exchanges?: boolean;
  /** Origins of web pages that may call, from the options of the protocol. */
  readonly origins?: readonly string[] | undefined;
  /** Loads its server, when the first connection that uses it arrives. */
  load(port: PortContext): Promise<ProtocolServer>;
}
