import type { MicroError } from "../base/error.ts";
import type { AnyMethod } from "../call/method.ts";
import type { OutgoingCall, TransportLimits } from "../transport/transport.ts";
import type { BodyCodec } from "./body-codec.ts";
import type { GoMicroClientConnection } from "./client-connection.ts";

/** How messages are encoded. */
export interface CallForm {
  readonly contentType: string;
  readonly form: BodyCodec;
}

/** An open call of a channel. */
export interface OutgoingRequest {
  readonly outgoing: OutgoingCall;
  /** Cancels the call from this side. */
  cancel(error: MicroError): void;
  /** Ends the call because its deadline has passed. */
  expire(): void;
}

/** What a call requires of its channel. */
export interface OutgoingRequests {
  readonly address: string;
  readonly limits: TransportLimits;
  readonly callForm: CallForm;
  /** Returns an id for a call or a stream that is unique on every connection. */
  nextId(): string;
  /** Returns why a call must not begin; undefined if it may. */
  refusal(method: AnyMethod, call: OutgoingCall): MicroError | undefined;
  begin(call: OutgoingRequest): void;
  ended(call: OutgoingRequest): void;
  /**
   * Returns a connection that no other call is using.
   * @throws MicroError as `ConnectionPool.open`
   */
  acquire(): Promise<GoMicroClientConnection>;
  /** Returns a connection to the channel. */
  release(connection: GoMicroClientConnection): void;
}
