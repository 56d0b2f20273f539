import type { Abortable } from "../../base/abort-watch.ts";
import type { Deadline } from "../../base/deadline.ts";
import type { MicroError, Outcome } from "../../base/error.ts";
import type { AnyMethod } from "../../call/method.ts";
import type { DecodedAhead } from "../streams/receive-queue.ts";
import type { OutgoingCall, TransportLimits } from "../transport.ts";
import type { Resumable } from "./connection.ts";
import type { FrameWriter } from "./frame-writer.ts";
import type { Settings } from "./hello.ts";

/** An open call at the client's end of a connection. */
export interface PendingCall extends Abortable {
  readonly id: number;
  readonly deadline: Deadline;
  readonly outgoing: OutgoingCall;
  readonly method: AnyMethod;
  /** Called when a message has arrived. */
  received(bytes: Uint8Array, start: number, end: number): void;
  /** Called when the server allows this side to send more. */
  granted(bytes: number): void;
  /** Called when RESULT has arrived without an error; `bytes` are given if it has a message. */
  succeeded(bytes: Uint8Array | undefined, start: number, end: number): void;
  /** Called when RESULT has arrived with an error. */
  refused(error: MicroError): void;
  /** Ends the call because its deadline has passed. */
  expire(): void;
  /** Cancels the call from this side. */
  cancel(error: MicroError): void;
  /** Ends the call because the connection is lost. */
  lost(reason: MicroError): void;
}

/** What a call requires of the connection that it uses. */
export interface OutgoingCalls {
  readonly limits: TransportLimits;
  readonly peerSettings: Settings;
  readonly writer: FrameWriter;
  /** Cost of stream messages that have arrived and are still unread, over all calls. */
  unreadBytes: number;
  /** Limits the responses that wait decoded. */
  readonly decodedAhead: DecodedAhead;
  readonly maxUnreadBytes: number;
  /**
   * Opens a CALL frame and writes its metadata. The caller then writes the message, if there is
   * one, and closes the frame. Returns the call's number.
   * @throws MicroError if the call must not begin; no frame is then open.
   */
  beginCall(method: AnyMethod, outgoing: OutgoingCall, flags: number): number;
  /**
   * Writes a message at the end of the open frame and closes the frame. Returns the message's
   * length.
   * @throws MicroError if the message cannot be encoded or is too large; the frame is then
   * discarded.
   */
  writeMessage(method: AnyMethod, message: unknown, outcome: Outcome): number;
  /** Notifies the server that a call is cancelled. */
  writeCancel(id: number, error: MicroError): void;
  /**
   * Whether a call that was written at this {@link FrameWriter.flushes} may have reached the
   * server.
   */
  hasLeft(epoch: number): boolean;
  /** Adds a call to the open ones. */
  add(call: PendingCall): void;
  /** Removes a call that has ended. */
  remove(call: PendingCall): void;
  /** Returns the error of a call whose message would exceed the limit on unread messages. */
  tooMuchUnread(method: string): MicroError;
  /** Waits until the output flows again. Returns true if it does not flow now. */
  waitForDrain(waiter: Resumable): boolean;
}
