import type { MicroError } from "../../error.ts";
import type { AnyMethod } from "../../method.ts";
import type { OutgoingCall, TransportLimits } from "../transport.ts";
import type { BodyForm } from "./body-form.ts";
import type { ClientLink } from "./client-link.ts";

/** How messages are written. */
export interface CallForm {
  readonly contentType: string;
  readonly form: BodyForm;
}

/** A call that a channel has open. */
export interface CalledCall {
  readonly outgoing: OutgoingCall;
  /** Ends the call here. */
  cancel(error: MicroError): void;
  /** Its deadline has passed. */
  expire(): void;
}

/** What a call needs of the channel that it goes out by. */
export interface CalledCalls {
  readonly address: string;
  readonly limits: TransportLimits;
  readonly callForm: CallForm;
  /** A number for a call or a stream, of which no link has two. */
  nextId(): string;
  /** Why a call must not begin; undefined when it may. */
  refusal(method: AnyMethod, call: OutgoingCall): MicroError | undefined;
  begin(call: CalledCall): void;
  ended(call: CalledCall): void;
  /** A link that no other call has. @throws MicroError as `LinkSource.open` */
  acquire(): Promise<ClientLink>;
  /** Takes a link back. */
  release(link: ClientLink): void;
}
