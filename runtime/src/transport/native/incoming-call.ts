import { deadlineExceeded, type Peer, ServerCall } from "../../call.ts";
import type { Deadline } from "../../deadline.ts";
import type { MicroError } from "../../error.ts";
import type { Metadata } from "../../metadata.ts";
import type { AnyMethod } from "../../method.ts";
import { answerError, encodeMetadata, invalidAnswer, messageTooLarge } from "../call-errors.ts";
import type { Dispatcher, TransportLimits } from "../transport.ts";
import type { Resumable } from "./connection.ts";
import type { FrameWriter } from "./frame-writer.ts";
import { flag, frameType } from "./protocol.ts";
import type { Settings } from "./settings.ts";
import { retryField, statusField, writeStatus } from "./status.ts";

/** What a call needs of the connection that it came in by. */
export interface IncomingCalls {
  readonly dispatcher: Dispatcher;
  readonly limits: TransportLimits;
  readonly peerSettings: Settings;
  readonly writer: FrameWriter;
  /** Cost of stream messages that came and that nobody has read yet, over all calls. */
  unreadBytes: number;
  readonly maxUnreadBytes: number;
  /** The call is over. */
  remove(call: IncomingCall): void;
  /** The error of a call whose message would be one too many that nobody has read. */
  tooMuchUnread(method: string): MicroError;
  /** Waits until the output flows again. True when it does not flow now. */
  waitForDrain(waiter: Resumable): boolean;
}

/**
 * A call as the server's end of a connection has it: at once what the handler sees and what its answer goes
 * out by.
 */
export abstract class IncomingCall extends ServerCall {
  readonly id: number;
  readonly connection: IncomingCalls;
  /** No RESULT goes out any more. */
  ended = false;
  /** Whether the metadata of the answer is out. */
  protected headersSent = false;

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

  /** Answers with an error. */
  fail(reason: unknown): void {
    if (this.ended) return;
    const error = answerError(reason, this.method.name);
    try {
      this.openResult(flag.error, statusField(error), retryField(error));
    } catch {
      // Metadata that cannot be sent must not keep the caller from its error.
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

  /** The deadline has passed on this side. */
  expire(): void {
    const error = deadlineExceeded(this.method.name);
    this.fail(error);
    this.giveUp(error);
  }

  /** The client does not wait any more, or is gone. Nothing goes out. */
  abandon(reason: MicroError): void {
    if (this.ended) return;
    this.ended = true;
    this.giveUp(reason);
    this.connection.remove(this);
  }

  /** Ends the call from this side: its caller gets the error, and its handler is cancelled. */
  refuse(error: MicroError): void {
    this.fail(error);
    this.giveUp(error);
  }

  /** The handler is told that nobody waits for it. */
  protected giveUp(reason: MicroError): void {
    this.cancel(reason);
  }

  /** RESULT is out. */
  protected finish(): void {
    this.ended = true;
    this.connection.remove(this);
  }

  /** Writes the answer as the message of the open frame; throws what the caller is told where it is none. */
  protected writeAnswer(answer: unknown): number {
    const { method, connection } = this;
    const { writer, dispatcher, peerSettings } = connection;
    const limit = Math.min(peerSettings.maxMessageBytes, connection.limits.maxMessageBytes);
    let length: number;
    try {
      length = writer.messageAndClose(method.output, answer, limit);
    } catch (reason) {
      writer.abandon();
      throw dispatcher.invalidAnswer?.(this, reason) ?? invalidAnswer(method, reason);
    }
    if (length <= limit) return length;
    writer.abandon();
    throw messageTooLarge(`the answer of ${method.name}`, length, limit, "executed");
  }

  /** Opens RESULT and writes metadata, unless it is out already, and trailers. */
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

/** Metadata of an answer in bytes; undefined when there is none. */
export function encoded(metadata: Metadata | undefined, method: AnyMethod): Uint8Array | undefined {
  return metadata === undefined ? undefined : encodeMetadata(metadata, method);
}
