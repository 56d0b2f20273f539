import type { Deadline } from "../../../base/deadline.ts";
import type { MicroError } from "../../../base/error.ts";
import type { ClientConnection } from "../../http2/client-connection.ts";
import type { Http2Stream } from "../../http2/stream.ts";
import type { DecodedAhead } from "../../streams/receive-queue.ts";
import type { OutgoingCall, TransportLimits } from "../../transport.ts";
import type { Compression } from "../compression/algorithms.ts";
import type { OutgoingMethod } from "./outgoing-methods.ts";

/** What a channel requires of its calls. */
export interface ChannelCall {
  readonly name: string;
  readonly outgoing: OutgoingCall;
  readonly deadline: Deadline;
  /** Undefined until the server accepts another request. */
  readonly stream: Http2Stream | undefined;
  /** Its place among the calls of its channel. */
  place: number;
  /** Opens the stream of the call, and sends what can be sent. It never throws. */
  open(): void;
  /** Called when the call is not opened at once. */
  waits(): void;
  /** Ends the call because its deadline has passed. */
  expire(): void;
  /** Cancels the call from this side. */
  cancel(error: MicroError): void;
  /** Ends the call because the connection has ended. */
  lost(reason: MicroError): void;
}

/** What a call requires of the channel that it uses. */
export interface OutgoingHttp2Calls {
  readonly limits: TransportLimits;
  readonly connection: ClientConnection;
  /** The largest response, in bytes. */
  readonly maxResponseBytes: number;
  /** To how many times their size compressed responses may inflate. */
  readonly maxInflationRatio: number;
  /** How requests are compressed, if they are, and the size from which they are, in bytes. */
  readonly compression: Compression | undefined;
  readonly compressMinBytes: number;
  /** Limits the responses that wait decoded. */
  readonly decodedAhead: DecodedAhead;
  /** Cost of stream messages that have arrived and are still unread, over all calls. */
  unreadCost: number;
  readonly maxUnreadCost: number;
  /** Returns why a call must not begin; undefined if it may. */
  refusal(called: OutgoingMethod, outgoing: OutgoingCall): MicroError | undefined;
  /** Adds a call to the open ones. */
  add(call: ChannelCall): void;
  /** Opens a call as soon as the server accepts another request. */
  openSoon(call: ChannelCall): void;
  /** Removes a call that has ended. */
  remove(call: ChannelCall): void;
  /** Resets a stream as soon as the server tolerates it. */
  resetSoon(stream: Http2Stream): void;
  /** As {@link resetSoon}, for a call that was cancelled. */
  abandon(stream: Http2Stream): void;
}
