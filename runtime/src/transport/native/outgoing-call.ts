import type { Abortable } from "../../abort-watch.ts";
import type { Deadline } from "../../deadline.ts";
import type { MicroError, Outcome } from "../../error.ts";
import type { AnyMethod } from "../../method.ts";
import type { OutgoingCall, TransportLimits } from "../transport.ts";
import type { Resumable } from "./connection.ts";
import type { FrameWriter } from "./frame-writer.ts";
import type { Settings } from "./settings.ts";

/** A call that the client's end of a connection waits for. */
export interface PendingCall extends Abortable {
  readonly id: number;
  readonly deadline: Deadline;
  readonly outgoing: OutgoingCall;
  readonly method: AnyMethod;
  /** A message came. */
  received(bytes: Uint8Array, start: number, end: number): void;
  /** The other side lets this one send more. */
  granted(bytes: number): void;
  /** RESULT came without an error, and with a message where `bytes` are given. */
  succeeded(bytes: Uint8Array | undefined, start: number, end: number): void;
  /** RESULT came with an error. */
  refused(error: MicroError): void;
  /** The deadline has passed. */
  expire(): void;
  /** This side gives the call up. */
  cancel(error: MicroError): void;
  /** The connection is gone. */
  lost(reason: MicroError): void;
}

/** What a call needs of the connection that it goes out by. */
export interface OutgoingCalls {
  readonly limits: TransportLimits;
  readonly peerSettings: Settings;
  readonly writer: FrameWriter;
  /** Cost of stream messages that came and that nobody has read yet, over all calls. */
  unreadBytes: number;
  readonly maxUnreadBytes: number;
  /**
   * Opens a CALL frame and writes its metadata; the message, if there is one, and the frame's end are left to
   * write. Returns the call's number.
   * @throws MicroError when the call must not begin; no frame is open then.
   */
  beginCall(method: AnyMethod, outgoing: OutgoingCall, flags: number): number;
  /**
   * Writes a message as the last thing of the open frame and closes it. Returns the message's length.
   * @throws MicroError when it does not encode or is too large; the frame is taken back then.
   */
  writeMessage(method: AnyMethod, message: unknown, outcome: Outcome): number;
  /** Tells the other side that a call is given up. */
  writeCancel(id: number, error: MicroError): void;
  /** Whether a call that was written at this {@link FrameWriter.flushes} may have reached the other side. */
  hasLeft(epoch: number): boolean;
  /** Takes a call among the open ones. */
  add(call: PendingCall): void;
  /** The call is over. */
  remove(call: PendingCall): void;
  /** The error of a call whose message would be one too many that nobody has read. */
  tooMuchUnread(method: string): MicroError;
  /** Waits until the output flows again. True when it does not flow now. */
  waitForDrain(waiter: Resumable): boolean;
}
