import { monotonicNow } from "../base/deadline.ts";
import type { MicroError, Outcome } from "../base/error.ts";
import type { ConnectionOwner, GoMicroConnection } from "./connection.ts";
import type { GoMicroMessage, OutgoingHeader } from "./message.ts";

/** The call that uses a connection. */
export interface ConnectionUser {
  received(message: GoMicroMessage): void;
  drained(): void;
  /** Nothing further arrives; the reason is given if the server violated the protocol. */
  lost(reason: MicroError | undefined, outcome?: Outcome): void;
  /** The received data cannot be used, for the reason in the error; nothing further arrives. */
  unusable(error: MicroError, outcome: Outcome): void;
}

/** The channel that manages the connections. */
export interface GoMicroClientConnections {
  connectionClosed(connection: GoMicroClientConnection): void;
}

/** A client connection, used by one call at a time. */
export class GoMicroClientConnection implements ConnectionOwner {
  /**
   * The first header that was sent. go-micro servers repeat it in every response on the connection.
   */
  firstHeader: ReadonlyMap<string, string> | undefined;
  /** When the last call released it. */
  freeSince = 0;
  closedHere = false;
  isClosed = false;
  readonly #connections: GoMicroClientConnections;
  #connection: GoMicroConnection | undefined;
  #user: ConnectionUser | undefined;

  constructor(connections: GoMicroClientConnections) {
    this.#connections = connections;
  }

  get blocked(): boolean {
    return this.#connection?.blocked ?? false;
  }

  attach(connection: GoMicroConnection): void {
    this.#connection = connection;
  }

  use(user: ConnectionUser): void {
    this.#user = user;
  }

  /** Releases the connection, because the call has its response. */
  free(): void {
    this.#user = undefined;
    this.freeSince = monotonicNow();
  }

  send(header: OutgoingHeader, body: Uint8Array): void {
    if (this.firstHeader === undefined) {
      const lines = [...header].map(([name, value]) => [name.toLowerCase(), value] as const);
      this.firstHeader = new Map(lines);
    }
    this.#connection?.send(header, body);
  }

  pause(): void {
    this.#connection?.pause();
  }

  resume(): void {
    this.#connection?.resume();
  }

  /** Ends the connection, because the call no longer needs it. */
  end(): void {
    this.#user = undefined;
    this.closedHere = true;
    this.#connection?.end();
  }

  destroy(): void {
    this.#user = undefined;
    this.closedHere = true;
    this.#connection?.destroy();
  }

  received(message: GoMicroMessage): void {
    // An unexpected response could be mistaken for that of the next call.
    if (this.#user === undefined) this.destroy();
    else this.#user.received(message);
  }

  drained(): void {
    this.#user?.drained();
  }

  broken(error: MicroError): void {
    const user = this.#user;
    this.destroy();
    // A broken connection may be retried. A response over a limit would exceed it again.
    if (error.code === "resource_exhausted") user?.unusable(error, "unknown");
    else user?.lost(error);
  }

  refused(error: MicroError): void {
    const user = this.#user;
    this.destroy();
    user?.unusable(error, error.outcome);
  }

  absent(error: MicroError): void {
    const user = this.#user;
    this.#user = undefined;
    user?.lost(error, "not-executed");
  }

  closed(): void {
    this.isClosed = true;
    const user = this.#user;
    this.#user = undefined;
    this.#connections.connectionClosed(this);
    user?.lost(undefined);
  }
}
