import type { MicroError } from "../../error.ts";
import type { GoMicroMessage, OutgoingHeader } from "./message.ts";

/** A way to send messages to one peer of go-micro's: a connection of HTTP, or a pair of subjects on NATS. */
export interface GoMicroLink {
  /** Where the other side is. */
  readonly peer: string;
  /** Whether what is sent now would only be kept; the owner is told when that changes. */
  readonly blocked: boolean;
  send(header: OutgoingHeader, body: Uint8Array): void;
  /** Takes no further message off the wire until {@link resume}. Without effect where that is not possible. */
  pause(): void;
  resume(): void;
  /** Sends what was written, and closes. */
  end(): void;
  /** Closes now. */
  destroy(): void;
}

/** Who is told of what comes by a link. */
export interface LinkOwner {
  received(message: GoMicroMessage): void;
  /** It takes messages again. */
  drained(): void;
  /** What came is no message of go-micro's, or over a limit. Nothing more is read. */
  broken(error: MicroError): void;
  /** Nobody is there, so nothing of what was sent was taken. Where only sending shows that. */
  absent?(error: MicroError): void;
  /** It is over. Called once. */
  closed(): void;
}
