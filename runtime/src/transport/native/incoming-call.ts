import type { Deadline } from "../../base/deadline.ts";
import type { MicroError } from "../../base/error.ts";
import type { Metadata } from "../../base/metadata.ts";
import type { Identity } from "../../call/account.ts";
import { deadlineExceeded, type Peer, ServerCall } from "../../call/call.ts";
import type { AnyMethod } from "../../call/method.ts";
import { encodeMetadata, invalidResponse, messageTooLarge, responseError } from "../call-errors.ts";
import type { AdmissionReceiver } from "../pending-admissions.ts";
import type { Dispatcher, TransportLimits } from "../transport.ts";
import type { Resumable } from "./connection.ts";
import { retryField, statusField, writeStatus } from "./error-status.ts";
import type { FrameWriter } from "./frame-writer.ts";
import type { Settings } from "./hello.ts";
import { flag, frameType } from "./protocol.ts";

/** What a call requires of the connection that it arrived on. */
export interface IncomingCalls {
  readonly dispatcher: Dispatcher;
  readonly limits: TransportLimits;
  readonly peerSettings: Settings;
  readonly writer: FrameWriter;
  /** Cost of stream messages that have arrived and are still unread, over all calls. */
  unreadBytes: number;
  readonly maxUnreadBytes: number;
  /** Whether the client leaves so much unread that no further response may be buffered for it. */
  readonly outputFull: boolean;
  /** Removes a call that has ended. */
  remove(call: IncomingCall): void;
  /** Returns the error of a call whose message would exceed the limit on unread messages. */
  tooMuchUnread(method: string): MicroError;
  /** Waits until the output flows again. Returns true if it does not flow now. */
  waitForDrain(waiter: Resumable): boolean;
}

/**
 * A call at the server's end of a connection: both the handler's view of the call and the writer of
 * its response.
 */
export abstract class IncomingCall extends ServerCall implements AdmissionReceiver {
  readonly id: number;
  readonly connection: IncomingCalls;
  /** RESULT was sent, or must not be sent. */
  ended = false;
  /** Whether the metadata of the response has been sent. */
  protected headersSent = false;
  /** Called if the call ends before its caller is verified. */
  #stopWaiting: (() => void) | undefined = undefined;

  constructor(
    connection: IncomingCalls,
    id: number,
    method: AnyMethod,
    peer: Peer,
    metadata: Metadata | undefined,
    deadline: Deadline,
  ) {
    super(method, peer, metadata, deadline);
    this.connection = connection;
    this.id = id;
  }

  /** Whether nothing has run yet, because the caller is being verified. */
  get isWaiting(): boolean {
    return this.#stopWaiting !== undefined;
  }

  /** Waits for {@link admitted} or {@link refused}. */
  waitForAdmission(stopWaiting: () => void): void {
    this.#stopWaiting = stopWaiting;
  }

  admitted(identity: Identity | undefined): void {
    this.#stopWaiting = undefined;
    this.admit(identity);
    this.begin();
  }

  refused(error: MicroError): void {
    this.fail(error);
  }

  /** Passes a call that has waited to the dispatcher. */
  protected abstract begin(): void;

  /** Responds with an error. */
  fail(reason: unknown): void {
    if (this.ended) return;
    const error = responseError(reason, this.method.name);
    try {
      this.openResult(flag.error, statusField(error), retryField(error));
    } catch {
      // Metadata that cannot be sent must not hide the error from the caller.
      this.connection.writer.open(
        frameType.result,
        flag.error,
        statusField(error),
        this.id,
        retryField(error),
      );
    }
    writeStatus(this.connection.writer, error);
    this.connection.writer.close();
    this.finish();
  }

  /** Ends the call because its deadline has passed on this side. */
  expire(): void {
    const error = deadlineExceeded(this.method.name, this.isWaiting ? "not-executed" : "unknown");
    this.fail(error);
    this.giveUp(error);
  }

  /** Ends the call because the client has stopped waiting or disconnected. Sends nothing. */
  abandon(reason: MicroError): void {
    if (this.ended) return;
    this.ended = true;
    this.giveUp(reason);
    this.leave();
  }

  /** Ends the call from this side: its caller gets the error, and its handler is cancelled. */
  override refuse(error: MicroError): void {
    this.fail(error);
    this.giveUp(error);
  }

  /** Notifies the handler that the caller is no longer waiting. */
  protected giveUp(reason: MicroError): void {
    this.cancel(reason);
  }

  /** Called when RESULT has been written. */
  protected finish(): void {
    this.ended = true;
    this.leave();
  }

  /** Called once, when the call has ended in any way. */
  protected leave(): void {
    this.#stopWaiting?.();
    this.#stopWaiting = undefined;
    this.connection.remove(this);
  }

  /**
   * Writes the response as the message of the open frame. Throws the error for the caller if the
   * response is invalid.
   */
  protected writeResponse(response: unknown): number {
    const { method, connection } = this;
    const { writer, dispatcher, peerSettings } = connection;
    const limit = Math.min(peerSettings.maxMessageBytes, connection.limits.maxMessageBytes);
    let length: number;
    try {
      length = writer.messageAndClose(method.output, response, limit);
    } catch (reason) {
      writer.abandon();
      throw dispatcher.invalidResponse?.(this, reason) ?? invalidResponse(method, reason);
    }
    if (length <= limit) return length;
    writer.abandon();
    throw messageTooLarge(`the response of ${method.name}`, length, limit, "executed");
  }

  /** Opens RESULT and writes the metadata, unless it has already been sent, and the trailers. */
  protected openResult(flags: number, method: number, aux: number): void {
    const { writer } = this.connection;
    const metadata = this.headersSent ? undefined : encoded(this.sentMetadata, this.method);
    const trailers = encoded(this.sentTrailers, this.method);
    writer.open(
      frameType.result,
      flags |
        (metadata === undefined ? 0 : flag.metadata) |
        (trailers === undefined ? 0 : flag.trailers),
      method,
      this.id,
      aux,
    );
    if (metadata !== undefined) writer.block(metadata);
    if (trailers !== undefined) writer.block(trailers);
  }
}

/** Encodes the metadata of a response; undefined if there is none. */
export function encoded(metadata: Metadata | undefined, method: AnyMethod): Uint8Array | undefined {
  return metadata === undefined ? undefined : encodeMetadata(metadata, method);
}
