import { type Abortable, unwatchAbort, watchAbort } from "../../../base/abort-watch.ts";
import { type Deadline, hasPassed } from "../../../base/deadline.ts";
import { isMicroError, MicroError, type Outcome } from "../../../base/error.ts";
import type { GrowingBuffer } from "../../../base/growing-buffer.ts";
import { deadlineExceeded } from "../../../call/call.ts";
import {
  cancelledBy,
  connectionLost,
  messageTooLarge,
  undecodableResponse,
} from "../../call-errors.ts";
import type { HeaderField } from "../../http2/hpack/header-field.ts";
import type { HeaderList } from "../../http2/hpack/header-list.ts";
import type { HeaderTemplate } from "../../http2/hpack/header-template.ts";
import type { MessageHead } from "../../http2/message-head.ts";
import type { ResetBy } from "../../http2/stream.ts";
import type { OutgoingCall } from "../../transport.ts";
import type { CallStream, CallStreamHandler } from "../call-stream.ts";
import type { Compression } from "../compression/algorithms.ts";
import { CallInflation } from "../compression/inflation.ts";
import { maxEndBytes } from "../end-fields.ts";
import { compressedFlag } from "../enveloped/message-frame.ts";
import { type MessageReceiver, MessageSplitter } from "../enveloped/message-splitter.ts";
import type { ChannelCall, OutgoingCalls } from "./outgoing-calls.ts";
import { callFields, namesAgent, type OutgoingMethod } from "./outgoing-methods.ts";
import { malformedResponse } from "./response-error.ts";
import { copyOf, type ResponseFields } from "./response-fields.ts";
import { resetError, violationError } from "./stream-error.ts";

/** Handles the rest of a stream whose call has ended. Data keeps the window closed. */
const leftHandler: CallStreamHandler = {
  onHead: () => undefined,
  onData: () => undefined,
  onEnd: () => undefined,
  onReset: () => undefined,
  onWritable: () => undefined,
  onDue: () => undefined,
};

const noBytes = new Uint8Array(0);

/** A message that ends a response. */
interface EndMessage {
  readonly bytes: Uint8Array;
  readonly isCompressed: boolean;
}

/**
 * A call at the client's end of a connection: the sender and the receiver of its stream.
 *
 * The bytes of an incomplete message are consumed as they arrive, but not before everything before
 * them was read. So a stream holds at most its window and one message, and the incomplete messages
 * of many streams do not close the window of their connection.
 */
export abstract class OutgoingHttpCall
  implements ChannelCall, CallStreamHandler, Abortable, MessageReceiver
{
  readonly called: OutgoingMethod;
  readonly outgoing: OutgoingCall;
  place = -1;
  watchPlace = 0;
  stream: CallStream | undefined = undefined;
  /** Whether the call has ended for its caller. */
  ended = false;
  protected readonly channel: OutgoingCalls;
  /** How often the channel had passed on what was written, before the call was. */
  #flushes = 0;
  /** The header of the response, and its status in HTTP. */
  protected head: ResponseFields | undefined = undefined;
  protected status = 0;
  #hasData = false;
  /** The message that ended the response, if that is its protocol's form. */
  #end: EndMessage | undefined = undefined;
  /** Whether the response had an end in addition to its header. */
  protected hadEnd = false;
  protected readonly splitter: MessageSplitter = new MessageSplitter(this);
  /** Bytes of an incomplete message that still count against the window. */
  #unconsumed = 0;

  constructor(channel: OutgoingCalls, called: OutgoingMethod, outgoing: OutgoingCall) {
    this.channel = channel;
    this.called = called;
    this.outgoing = outgoing;
  }

  abstract open(): void;
  abstract onWritable(): void;
  abstract readonly acceptsMessage: boolean;
  /** Whether earlier messages wait to be read. */
  protected abstract readonly hasUnread: boolean;
  /**
   * Handles the end of a response.
   *
   * @param error of the response, unless it was a success
   */
  protected abstract concluded(error: MicroError | undefined): void;
  /**
   * Passes the error on to the caller.
   *
   * @param discards whether messages that are unread are discarded
   */
  protected abstract rejected(error: MicroError, discards: boolean): void;
  /**
   * Handles a message of the response.
   *
   * @param windowBytes how much of the window it takes until it is consumed
   */
  protected abstract messageReceived(
    bytes: Uint8Array,
    start: number,
    end: number,
    windowBytes: number,
    isCompressed: boolean,
  ): void;
  /** Called when nothing of the request must be sent any longer. */
  protected abstract stopSending(): void;

  get deadline(): Deadline {
    return this.outgoing.deadline;
  }

  get name(): string {
    return this.called.method.name;
  }

  onHead(stream: CallStream, { status }: MessageHead, list: HeaderList): void {
    const { protocol } = this.called;
    const head = protocol.read(list);
    this.head = head;
    this.status = status;
    const error = protocol.headerError(head, status);
    if (error === undefined) {
      if (!head.hasStatus) this.outgoing.responseMetadata = copyOf(head.metadata);
      return;
    }
    this.outgoing.responseMetadata = copyOf(head.metadata);
    this.close();
    // The response usually ends here.
    setImmediate(() => {
      if (!stream.closed) this.channel.abandon(stream);
    });
    this.rejected(error, false);
  }

  onData(_stream: CallStream, bytes: Uint8Array, start: number, end: number): void {
    this.#hasData = true;
    this.splitter.split(bytes, start, end);
  }

  onEnd(stream: CallStream, trailers: HeaderList | undefined): void {
    stream.handler = leftHandler;
    if (!stream.localEnded) {
      this.stopSending();
      // A server that has responded needs no more; that most of the request is missing must not
      // look like a reset, because servers limit those.
      if (stream.isWaiting) this.channel.resetSoon(stream);
      else stream.send(noBytes, 0, 0, true);
    }
    this.splitter.whenSplit(() => this.conclude(trailers));
  }

  onReset(stream: CallStream, code: number, by: ResetBy): void {
    if (this.ended) return;
    if (by === "connection") {
      this.lost(this.channel.lossOf(stream));
      return;
    }
    this.close();
    const errorOf = by === "peer" ? resetError : violationError;
    this.rejected(errorOf(this, code, this.head !== undefined), false);
  }

  waits(): void {
    // Streams have nothing to keep.
  }

  onDue(): void {
    // The channel watches the deadlines of its calls.
  }

  expire(): void {
    this.cancel(deadlineExceeded(this.name, this.outcome));
  }

  aborted(reason: unknown): void {
    this.cancel(cancelledBy(reason, this.name, this.outcome));
  }

  cancel(error: MicroError): void {
    this.fail(error, true);
  }

  lost(reason: MicroError): void {
    const { stream, channel } = this;
    const hasLeft = stream !== undefined && channel.hasLeft(stream, this.#flushes);
    this.close();
    this.rejected(connectionLost(this.name, reason, hasLeft ? "unknown" : "not-executed"), false);
  }

  get isReading(): boolean {
    return !this.ended;
  }

  /** The outcome of a call that ends before its response. */
  protected get outcome(): Outcome {
    return this.stream === undefined ? "not-executed" : "unknown";
  }

  /** How compressed messages of the response are encoded. */
  protected get encoding(): string {
    return this.head!.encoding!;
  }

  /** Opens the call now or later, and listens for its cancellation. */
  protected begin(): void {
    const { outgoing } = this;
    this.channel.openSoon(this);
    if (outgoing.signal !== undefined && !this.ended) watchAbort(outgoing.signal, this);
  }

  /**
   * Opens the stream with the header of the request.
   *
   * @param compression of its messages, if some may be compressed
   * @throws MicroError `invalid_argument` for metadata that HTTP does not allow
   */
  protected openStream(compression: Compression | undefined): void {
    const head = this.called.head(compression, namesAgent(this.outgoing));
    this.openStreamWith(head, callFields(this.called.protocol, this.outgoing), false);
  }

  /** Opens the stream with these fields, with `end` without a body. */
  protected openStreamWith(
    template: HeaderTemplate | undefined,
    fields: readonly HeaderField[],
    end: boolean,
  ): void {
    const { channel } = this;
    this.#flushes = channel.flushes;
    this.stream = channel.openStream(template, fields, end, this);
  }

  /** Ends the call, and its stream if that is open. */
  protected fail(error: MicroError, discards = false): void {
    if (this.ended) return;
    const { stream } = this;
    this.close();
    if (stream !== undefined && !stream.closed) this.channel.abandon(stream);
    this.rejected(error, discards);
  }

  /** Ends the call for the channel. */
  protected close(): void {
    const { stream, outgoing } = this;
    this.ended = true;
    this.splitter.discard();
    this.#unconsumed = 0;
    this.stopSending();
    if (outgoing.signal !== undefined) unwatchAbort(outgoing.signal, this);
    if (stream !== undefined) stream.handler = leftHandler;
    this.channel.remove(this);
  }

  protected consume(bytes: number): void {
    this.stream!.consume(bytes);
  }

  collect(message: GrowingBuffer, piece: Uint8Array): boolean {
    message.append(piece);
    this.#unconsumed += piece.length;
    if (!this.hasUnread) this.readOn();
    return true;
  }

  collected(): number {
    const bytes = this.#unconsumed;
    this.#unconsumed = 0;
    return bytes;
  }

  /** Called when all earlier messages were read: the window opens for the rest of the next one. */
  protected readOn(): void {
    if (this.#unconsumed > 0) this.consume(this.collected());
  }

  checkPrefix(flags: number, length: number): void {
    const { endFlag } = this.called.protocol;
    const most = (flags & endFlag) === 0 ? this.channel.maxResponseBytes : maxEndBytes;
    if (this.#end !== undefined) this.fail(malformedResponse("it goes on after its end"));
    else if (length > most) {
      this.fail(messageTooLarge(`the response of ${this.name}`, length, most, "executed"));
    } else if ((flags & ~endFlag) > compressedFlag) {
      this.fail(undecodableResponse("a message has unknown flags", this.name));
    } else if ((flags & compressedFlag) !== 0 && this.head!.encoding === undefined) {
      this.fail(undecodableResponse("a message is compressed, by no stated encoding", this.name));
    }
  }

  received(
    bytes: Uint8Array,
    start: number,
    end: number,
    windowBytes: number,
    flags: number,
  ): void {
    const isCompressed = (flags & compressedFlag) !== 0;
    if ((flags & this.called.protocol.endFlag) === 0) {
      this.messageReceived(bytes, start, end, windowBytes, isCompressed);
    } else {
      this.consume(windowBytes);
      this.#end = { bytes: bytes.slice(start, end), isCompressed };
    }
  }

  /** Why no caller is waiting for responses any longer. */
  over(): MicroError | undefined {
    const isOver = this.ended || hasPassed(this.deadline);
    return isOver ? deadlineExceeded(this.name) : undefined;
  }

  /** Ends the call because a part of its response cannot be inflated. */
  notInflated(reason: unknown): void {
    this.fail(this.#inflationError(reason));
  }

  /** Handles the end of a response that is split. */
  protected conclude(trailers: HeaderList | undefined): void {
    const { protocol } = this.called;
    if (protocol.endFlag === 0) {
      this.#concludeWith(trailers === undefined ? undefined : protocol.read(trailers));
    } else if (this.#end === undefined) this.#concludeWith(undefined);
    else this.concludeWithEnd(this.#end);
  }

  /** Reads what ends a response in its body. */
  protected concludeWithEnd({ bytes, isCompressed }: EndMessage): void {
    if (isCompressed) void this.#inflateEnd(bytes);
    else this.#readEnd(bytes);
  }

  async #inflateEnd(compressed: Uint8Array): Promise<void> {
    const { maxInflationRatio } = this.channel;
    const inflation = new CallInflation(maxEndBytes, maxInflationRatio, () => this.over());
    try {
      const bytes = await inflation.inflate(this.encoding, compressed);
      if (!this.ended) this.#readEnd(bytes);
    } catch (reason) {
      if (!this.ended) this.concluded(this.#inflationError(reason));
    }
  }

  #inflationError(reason: unknown): MicroError {
    const isLate = isMicroError(reason) && reason.code === "deadline_exceeded";
    return isLate ? reason : undecodableResponse(reason, this.name);
  }

  #readEnd(bytes: Uint8Array): void {
    let end: ResponseFields;
    try {
      end = this.called.protocol.readEnd!(bytes, this.status);
    } catch (reason) {
      this.concluded(undecodableResponse(reason, this.name));
      return;
    }
    this.#concludeWith(end);
  }

  #concludeWith(end: ResponseFields | undefined): void {
    const { outgoing } = this;
    const head = this.head!;
    this.hadEnd = end !== undefined;
    if (head.hasStatus && end === undefined) outgoing.trailers = copyOf(head.metadata);
    else {
      if (head.hasStatus) outgoing.responseMetadata = copyOf(head.metadata);
      outgoing.trailers = copyOf(end?.metadata ?? head.trailers);
    }
    this.concluded(this.#errorOf(head, end));
  }

  #errorOf(head: ResponseFields, end: ResponseFields | undefined): MicroError | undefined {
    const { isWithinMessage } = this.splitter;
    // A header that has messages after it was sent before the outcome of the call was known.
    const onlyHead = head.hasStatus && !this.#hasData ? head : undefined;
    const isInBody = this.called.protocol.endFlag !== 0;
    if (isInBody && isWithinMessage) {
      const where = end === undefined ? "it ends within a message" : "it goes on after its end";
      return malformedResponse(where);
    }
    const status = end?.hasStatus === true ? end : onlyHead;
    if (status === undefined) {
      if (isInBody && end === undefined) return malformedResponse("it ends without a status");
      return new MicroError("internal", `missing status in the response of ${this.name}`);
    }
    if (status.failure !== undefined) return status.failure(head.lines);
    if (isWithinMessage) return undecodableResponse("it ends within a message", this.name);
    const reason = head.metadataError ?? end?.metadataError;
    return reason === undefined ? undefined : undecodableResponse(reason, this.name);
  }
}
