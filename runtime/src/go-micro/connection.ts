import type { Socket } from "node:net";
import type { MicroError } from "../base/error.ts";
import type { GoMicroMessage, OutgoingHeader } from "./message.ts";

/** Sends messages to one go-micro peer: an HTTP connection, or a pair of NATS subjects. */
export interface GoMicroConnection {
  /** Address of the peer. */
  readonly peer: string;
  /** Whether messages sent now would only be buffered. The owner is notified when that changes. */
  readonly blocked: boolean;
  /** Bytes that were sent and that the peer has not read yet; undefined if that is not known. */
  readonly unsentBytes?: number;
  send(header: OutgoingHeader, body: Uint8Array): void;
  /** Stops receiving messages until {@link resume}. Has no effect if pausing is not possible. */
  pause(): void;
  resume(): void;
  /** Responds to a request that is not from go-micro with an HTTP status, and closes. */
  refuse?(status: string, text: string): void;
  /** Flushes the pending output, and closes. */
  end(): void;
  /** Closes at once. */
  destroy(): void;
}

/** Receives what arrives on a connection. */
export interface ConnectionOwner {
  received(message: GoMicroMessage): void;
  /** The connection accepts messages again. */
  drained(): void;
  /**
   * The received data is not a valid go-micro message, or exceeds a limit. Nothing further is read.
   */
  broken(error: MicroError): void;
  /**
   * A response arrived that is not from go-micro, such as an HTTP error from a proxy. Nothing
   * further is read. Clients only.
   */
  refused?(error: MicroError): void;
  /**
   * No server is listening, so nothing that was sent was received. Used where only sending reveals
   * it.
   */
  absent?(error: MicroError): void;
  /**
   * An HTTP request arrived that is not from go-micro. Nothing further is read.
   *
   * @param handOver releases the connection, with the bytes of that request unread, when all
   * responses are sent
   */
  foreign?(handOver: () => Socket): void;
  /** The connection has closed. Called once. */
  closed(): void;
}
