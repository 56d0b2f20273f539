import { deadlineExceeded, type Peer, ServerCall } from "../../call.ts";
import type { Deadline } from "../../deadline.ts";
import { MicroError } from "../../error.ts";
import type { Metadata } from "../../metadata.ts";
import type { AnyMethod } from "../../method.ts";
import {
  answerError,
  callEnded,
  codecError,
  encodeMetadata,
  invalidAnswer,
  messageTooLarge,
} from "../call-errors.ts";
import { Inbox, type InboxOwner, messageOverheadBytes } from "../inbox.ts";
import { Pump, type PumpTarget } from "../pump.ts";
import type { Dispatcher, TransportLimits } from "../transport.ts";
import type { Resumable } from "./connection.ts";
import type { FrameWriter } from "./frame-writer.ts";
import { decodeMessage } from "./payload.ts";
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
 * A call as the server's end of a connection has it: at once what the handler sees, what answers go out
 * by, and, for streams, both directions' flow control.
 */
export class IncomingCall extends ServerCall implements InboxOwner, PumpTarget<unknown> {
  readonly id: number;
  readonly connection: IncomingCalls;
  /** No RESULT goes out any more. */
  ended = false;
  /** What the client sends; undefined for a unary call. */
  requests: Inbox<unknown> | undefined = undefined;
  /** What the client may still send, in bytes. */
  requestCredit = 0;
  #answers: Pump<unknown> | undefined = undefined;
  #headersSent = false;
  /** Cost of requests that were read and not granted again. */
  #owed = 0;

  constructor(
    connection: IncomingCalls,
    id: number,
    method: AnyMethod,
    peer: Peer,
    metadata: Metadata,
    deadline: Deadline,
  ) {
    super(method, peer, metadata, deadline);
    this.connection = connection;
    this.id = id;
  }

  /** Gives a unary call to the dispatcher. */
  runUnary(request: unknown): void {
    try {
      const answer = this.connection.dispatcher.unary(this, request);
      if (answer instanceof Promise) {
        answer.then(
          (value) => this.#answerUnary(value),
          (reason) => this.fail(reason),
        );
      } else {
        this.#answerUnary(answer);
      }
    } catch (reason) {
      this.fail(reason);
    }
  }

  /** Prepares a call of a streaming kind to take requests. */
  openStream(): void {
    this.requests = new Inbox<unknown>(this);
    this.requestCredit = this.connection.limits.streamWindowBytes;
    this.#answers = new Pump(this, this.connection.peerSettings.streamWindowBytes);
  }

  /** Gives it to the dispatcher. */
  runStream(): void {
    try {
      this.#answers!.start(this.connection.dispatcher.stream(this, this.requests!));
    } catch (reason) {
      this.fail(reason);
    }
  }

  /** Takes a request of a stream. */
  receive(bytes: Uint8Array): void {
    const { connection } = this;
    if (this.requestCredit <= 0) {
      throw new MicroError(
        "resource_exhausted",
        `received a message of ${this.method.name} beyond the credit that was given`,
      );
    }
    const cost = bytes.length + messageOverheadBytes;
    this.requestCredit -= cost;
    if (bytes.length > connection.limits.maxMessageBytes) {
      this.refuse(
        messageTooLarge(
          `a request of ${this.method.name}`,
          bytes.length,
          connection.limits.maxMessageBytes,
          "unknown",
        ),
      );
      return;
    }
    const requests = this.requests!;
    if (requests.ended) return;
    let request: unknown;
    try {
      request = decodeMessage(this.method.input, bytes);
    } catch (reason) {
      this.refuse(codecError(reason, "unknown"));
      return;
    }
    connection.unreadBytes += cost;
    if (connection.unreadBytes > connection.maxUnreadBytes) {
      connection.unreadBytes -= cost;
      this.refuse(connection.tooMuchUnread(this.method.name));
      return;
    }
    requests.push(request, cost);
  }

  /** The client lets this side send more. */
  granted(bytes: number): void {
    this.#answers?.grant(bytes);
  }

  opened(): void {}

  consumed(cost: number): void {
    const { connection } = this;
    connection.unreadBytes -= cost;
    if (this.ended) return;
    this.#owed += cost;
    if (this.#owed * 2 < connection.limits.streamWindowBytes) return;
    this.requestCredit += this.#owed;
    connection.writer.bare(frameType.credit, 0, this.id, this.#owed);
    this.#owed = 0;
  }

  dropped(cost: number): void {
    this.connection.unreadBytes -= cost;
  }

  /** A handler that reads no further does not end its call; the client just gets no more credit. */
  abandoned(): void {}

  blocked(): boolean {
    return this.connection.waitForDrain(this.#answers!);
  }

  send(answer: unknown): number {
    const { connection, method } = this;
    const { writer } = connection;
    if (!this.#headersSent) {
      this.#headersSent = true;
      const metadata = encoded(this.sentMetadata, this.method);
      if (metadata !== undefined) {
        writer.open(frameType.headers, 0, 0, this.id, 0);
        writer.bytes(metadata);
        writer.close();
      }
    }
    writer.open(frameType.message, 0, 0, this.id, 0);
    return this.#writeAnswer(method, answer) + messageOverheadBytes;
  }

  finished(): void {
    if (this.ended) return;
    try {
      this.#openResult(0, 0, 0);
    } catch (reason) {
      this.fail(reason);
      return;
    }
    this.connection.writer.close();
    this.#end();
  }

  failed(reason: unknown): void {
    this.fail(reason);
  }

  /** Answers with an error. */
  fail(reason: unknown): void {
    if (this.ended) return;
    const error = answerError(reason, this.method.name);
    try {
      this.#openResult(flag.error, statusField(error), retryField(error));
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
    this.#end();
  }

  /** The deadline has passed on this side. */
  expire(): void {
    const error = deadlineExceeded(this.method.name);
    this.fail(error);
    this.#giveUp(error);
  }

  /** The client does not wait any more, or is gone. Nothing goes out. */
  abandon(reason: MicroError): void {
    if (this.ended) return;
    this.ended = true;
    this.#giveUp(reason);
    this.connection.remove(this);
  }

  /** Ends the call from this side: its caller gets the error, and its handler is cancelled. */
  refuse(error: MicroError): void {
    this.fail(error);
    this.#giveUp(error);
  }

  #giveUp(reason: MicroError): void {
    this.#answers?.stop();
    this.cancel(reason);
    this.requests?.abort(reason);
  }

  #answerUnary(answer: unknown): void {
    if (this.ended) return;
    try {
      this.#openResult(flag.message, 0, 0);
      this.#writeAnswer(this.method, answer);
    } catch (reason) {
      this.fail(reason);
      return;
    }
    this.#end();
  }

  /** Writes the answer as the message of the open frame; throws what the caller is told where it is none. */
  #writeAnswer(method: AnyMethod, answer: unknown): number {
    const { writer, dispatcher, peerSettings } = this.connection;
    const limit = Math.min(peerSettings.maxMessageBytes, this.connection.limits.maxMessageBytes);
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
  #openResult(flags: number, method: number, aux: number): void {
    const { writer } = this.connection;
    const metadata = this.#headersSent ? undefined : encoded(this.sentMetadata, this.method);
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

  #end(): void {
    this.ended = true;
    this.#answers?.stop();
    this.requests?.abort(callEnded(this.method.name));
    this.connection.remove(this);
  }
}

function encoded(metadata: Metadata | undefined, method: AnyMethod): Uint8Array | undefined {
  return metadata === undefined ? undefined : encodeMetadata(metadata, method);
}
