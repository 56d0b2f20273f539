import type { Abortable } from "../abort-watch.ts";
import type { Peer } from "../call.ts";
import type { Deadline } from "../deadline.ts";
import type { MicroError } from "../error.ts";
import type { Channel, Dispatcher, OutgoingCall, TransportLimits } from "./transport.ts";

/** One call of a memory channel, both of its sides. */
export interface MemoryCall extends Abortable {
  readonly deadline: Deadline;
  /** Where it stands among the open calls of its channel, which keep this. */
  place: number;
  /** Ends the call because its deadline has passed. */
  expire(): void;
  /** Ends the call for its caller with an error, and cancels it for its handler. */
  cancel(error: MicroError): void;
  /** As {@link cancel}, because the other side is gone; the caller may still read what had come. */
  cut(reason: MicroError): void;
  /** Gives the call to the dispatcher. */
  run(): void;
}

/** What a memory channel joins. */
export interface MemoryLink {
  readonly address: string;
  readonly peerAddress: string;
  readonly dispatcher: Dispatcher;
  readonly limits: TransportLimits;
  /** The caller's window; `limits` has the listener's. */
  readonly responseWindowBytes: number;
  readonly onIdle: () => void;
  readonly onClosed: (channel: Channel) => void;
}

/** What a call of a memory channel needs of it. */
export interface MemoryCalls {
  readonly link: MemoryLink;
  /** The caller, as handlers see it. */
  readonly peer: Peer;
  /** Why a call cannot begin now; undefined when it can. */
  refusal(method: string, call: OutgoingCall): MicroError | undefined;
  /** Takes a call among the open ones and runs it in a turn of its own. */
  begin(call: MemoryCall): void;
  /** The call is over. */
  remove(call: MemoryCall): void;
}
