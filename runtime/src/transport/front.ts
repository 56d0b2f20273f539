import type { Socket } from "node:net";

/** What a connection speaks, as its first bytes tell. */
export type WireProtocol = "native" | "go-micro" | "http1" | "http2" | "tls";

/** The connections of one listener that speak one family of protocols; a listener has one or several. */
export interface Front {
  readonly connections: number;
  readonly openCalls: number;
  /** Serves a connection whose first bytes, which nobody has taken off it, are those of the protocol. */
  accept(socket: Socket, peerAddress: string, protocol: WireProtocol): void;
  /** Refuses what comes, and resolves when the last call is answered. Idempotent. */
  drain(): Promise<void>;
  /** Drains for at most `graceMs`, cancels what is left, and resolves when every socket is closed. */
  close(graceMs: number): Promise<void>;
}
