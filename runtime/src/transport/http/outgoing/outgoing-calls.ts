import type { Deadline } from "../../../base/deadline.ts";
import type { MicroError } from "../../../base/error.ts";
import type { HeaderField } from "../../http2/hpack/header-field.ts";
import type { HeaderTemplate } from "../../http2/hpack/header-template.ts";
import type { DecodedAhead } from "../../streams/receive-queue.ts";
import type { OutgoingCall, TransportLimits } from "../../transport.ts";
import type { CallStream, CallStreamHandler } from "../call-stream.ts";
import type { Compression } from "../compression/algorithms.ts";
import type { OutgoingMethod } from "./outgoing-methods.ts";

/** What a channel requires of its calls. */
export interface ChannelCall {
  readonly name: string;
  readonly outgoing: OutgoingCall;
  readonly deadline: Deadline;
  /** Undefined until the server accepts another request. */
  readonly stream: CallStream | undefined;
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
export interface OutgoingCalls {
  readonly limits: TransportLimits;
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
  /**
   * Opens a stream with the header of a request, with `end` one without a body.
   *
   * @throws MicroError `invalid_argument` for a field that HTTP does not allow
   */
  openStream(
    template: HeaderTemplate | undefined,
    fields: readonly HeaderField[],
    end: boolean,
    handler: CallStreamHandler,
  ): CallStream;
  /** Whether so many bytes would be copied at once. */
  copiesNow(stream: CallStream, bytes: number): boolean;
  /** How often what was written has been passed on. */
  readonly flushes: number;
  /**
   * Whether some of a request may have reached the server.
   *
   * @param flushes before the stream was opened
   */
  hasLeft(stream: CallStream, flushes: number): boolean;
  /** Returns why a stream ended with its connection. */
  lossOf(stream: CallStream): MicroError;
  /** Resets a stream as soon as the server tolerates it. */
  resetSoon(stream: CallStream): void;
  /** As {@link resetSoon}, for a call that was cancelled. */
  abandon(stream: CallStream): void;
}
