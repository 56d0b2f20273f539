import type { Abortable } from "../../base/abort-watch.ts";
import type { Deadline } from "../../base/deadline.ts";
import type { MicroError } from "../../base/error.ts";
import type { Peer } from "../../call/call.ts";
import type { PendingAdmissions } from "../pending-admissions.ts";
import type { Channel, Dispatcher, OutgoingCall, TransportLimits } from "../transport.ts";

/** One call of a memory channel, with both its sides. */
export interface MemoryCall extends Abortable {
  readonly deadline: Deadline;
  /** Its index among the open calls of its channel, which maintain it. */
  place: number;
  /** Ends the call because its deadline has passed. */
  expire(): void;
  /** Fails the call for its caller, and cancels it for its handler. */
  cancel(error: MicroError): void;
  /**
   * As {@link cancel}, because the other side is gone. The caller may still read what has arrived.
   */
  cut(reason: MicroError): void;
  /** Ends the call from the server's side: the caller gets the error. */
  refuse(error: MicroError): void;
  /** Passes the call to the dispatcher. */
  run(): void;
}

/** What the two sides of a memory channel share. */
export interface MemoryLink {
  readonly address: string;
  readonly peerAddress: string;
  readonly dispatcher: Dispatcher;
  readonly limits: TransportLimits;
  /** The caller's window; `limits` holds the listener's. */
  readonly responseWindowBytes: number;
  readonly onIdle: () => void;
  readonly onClosed: (channel: Channel) => void;
}

/** What a call requires of its memory channel. */
export interface MemoryCalls {
  readonly link: MemoryLink;
  /** The caller, as handlers see it. */
  readonly peer: Peer;
  /** The calls that wait until their callers are verified. */
  readonly pending: PendingAdmissions;
  /** Returns why a call cannot begin now; undefined if it can. */
  refusal(method: string, call: OutgoingCall): MicroError | undefined;
  /** Adds a call to the open ones, and runs it in a turn of its own. */
  begin(call: MemoryCall): void;
  /** Removes a call that has ended. */
  remove(call: MemoryCall): void;
}
