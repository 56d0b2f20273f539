import type { Compression } from "@connectrpc/connect/protocol";
import { type Abortable, unwatchAbort, watchAbort } from "../../../base/abort-watch.ts";
import { type Deadline, remainingMs } from "../../../base/deadline.ts";
import { MicroError, type Outcome } from "../../../base/error.ts";
import { deadlineExceeded } from "../../../call/call.ts";
import type { AnyMethod } from "../../../call/method.ts";
import {
  cancelledBy,
  connectionLost,
  messageTooLarge,
  undecodableResponse,
} from "../../call-errors.ts";
import type { ClientConnection } from "../../http2/client-connection.ts";
import { errorCode, errorName } from "../../http2/error-code.ts";
import type { HeaderList } from "../../http2/hpack/header-list.ts";
import type { MessageHead } from "../../http2/message-head.ts";
import type { Http2Stream, ResetBy, StreamHandler } from "../../http2/stream.ts";
import type { DecodedAhead } from "../../streams/receive-queue.ts";
import type { OutgoingCall, TransportLimits } from "../../transport.ts";
import { deadlineSkewMs } from "../deadline-skew.ts";
import { compressedFlag } from "./message-frame.ts";
import { MessageSplitter } from "./message-splitter.ts";
import { callFields, namesAgent, type OutgoingMethod } from "./outgoing-methods.ts";
import { headerError, metadataOf, type ResponseFields, responseFields } from "./response-fields.ts";

/** What a call requires of the channel that it uses. */
export interface OutgoingGrpcCalls {
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
  refusal(method: AnyMethod, outgoing: OutgoingCall): MicroError | undefined;
  /** Adds a call to the open ones. */
  add(call: OutgoingGrpcCall): void;
  /** Opens a call as soon as the server accepts another request. */
  openSoon(call: OutgoingGrpcCall): void;
  /** Removes a call that has ended. */
  remove(call: OutgoingGrpcCall): void;
  /** Resets a stream as soon as the server tolerates it. */
  resetSoon(stream: Http2Stream): void;
  /** As {@link resetSoon}, for a call that was cancelled. */
  abandon(stream: Http2Stream): void;
}

/** Handles the rest of a stream whose call has ended. Data keeps the window closed. */
const leftHandler: StreamHandler = {
  onHead: () => undefined,
  onData: () => undefined,
  onEnd: () => undefined,
  onReset: () => undefined,
  onWritable: () => undefined,
  onDue: () => undefined,
};

const noBytes = new Uint8Array(0);

/** A gRPC call at the client's end of a connection: the sender and the receiver of its stream. */
export abstract class OutgoingGrpcCall extends MessageSplitter implements StreamHandler, Abortable {
  readonly called: OutgoingMethod;
  readonly outgoing: OutgoingCall;
  /** Its place among the calls of its channel. */
  place = -1;
  watchPlace = 0;
  /** Undefined until the server accepts another request. */
  stream: Http2Stream | undefined = undefined;
  /** Whether the call has ended for its caller. */
  ended = false;
  protected readonly channel: OutgoingGrpcCalls;
  /** How often the connection had been flushed before the call was written. */
  #epoch = 0;
  #head: ResponseFields | undefined = undefined;
  #hasData = false;
  /** Whether the response had trailers in addition to its header. */
  protected hadTrailers = false;

  constructor(channel: OutgoingGrpcCalls, called: OutgoingMethod, outgoing: OutgoingCall) {
    super();
    this.channel = channel;
    this.called = called;
    this.outgoing = outgoing;
  }

  /** Opens the stream of the call, and sends what can be sent. It never throws. */
  abstract open(): void;
  abstract onWritable(): void;
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
  /** Called when nothing of the request must be sent any longer. */
  protected abstract stopSending(): void;

  get deadline(): Deadline {
    return this.outgoing.deadline;
  }

  get name(): string {
    return this.called.method.name;
  }

  onHead(stream: Http2Stream, { status }: MessageHead, list: HeaderList): void {
    const head = responseFields(list);
    this.#head = head;
    const error = headerError(head, status);
    if (error === undefined) {
      if (!head.hasStatus) this.outgoing.responseMetadata = metadataOf(head);
      return;
    }
    this.outgoing.responseMetadata = metadataOf(head);
    this.close();
    // The response usually ends here.
    setImmediate(() => {
      if (!stream.closed) this.channel.abandon(stream);
    });
    this.rejected(error, false);
  }

  onData(_stream: Http2Stream, bytes: Uint8Array, start: number, end: number): void {
    this.#hasData = true;
    this.split(bytes, start, end);
  }

  onEnd(stream: Http2Stream, trailers: HeaderList | undefined): void {
    stream.handler = leftHandler;
    const head = this.#head!;
    const end = trailers === undefined ? undefined : responseFields(trailers);
    this.hadTrailers = end !== undefined;
    if (head.hasStatus && end === undefined) this.outgoing.trailers = metadataOf(head);
    else {
      if (head.hasStatus) this.outgoing.responseMetadata = metadataOf(head);
      if (end !== undefined) this.outgoing.trailers = metadataOf(end);
    }
    if (!stream.localEnded) {
      this.stopSending();
      // A server that has responded needs no more; that most of the request is missing must not
      // look like a reset, because servers limit those.
      if (stream.isWaiting) this.channel.resetSoon(stream);
      else stream.send(noBytes, 0, 0, true);
    }
    this.whenSplit(() => this.concluded(this.#errorOf(head, end)));
  }

  onReset(_stream: Http2Stream, code: number, by: ResetBy): void {
    if (this.ended) return;
    if (by === "connection") {
      this.lost(this.channel.connection.closedBy!);
      return;
    }
    this.close();
    this.rejected(by === "peer" ? this.#resetError(code) : this.#violation(code), false);
  }

  /** Called when the call is not opened at once. */
  waits(): void {
    // Streams have nothing to keep.
  }

  onDue(): void {
    // The channel watches the deadlines of its calls.
  }

  /** Ends the call because its deadline has passed. */
  expire(): void {
    this.cancel(deadlineExceeded(this.name, this.outcome));
  }

  aborted(reason: unknown): void {
    this.cancel(cancelledBy(reason, this.name, this.outcome));
  }

  /** Cancels the call from this side. */
  cancel(error: MicroError): void {
    this.fail(error, true);
  }

  /** Ends the call because the connection has ended. */
  lost(reason: MicroError): void {
    const { stream, channel } = this;
    const hasLeft = stream !== undefined && channel.connection.writer.flushes !== this.#epoch;
    this.close();
    this.rejected(connectionLost(this.name, reason, hasLeft ? "unknown" : "not-executed"), false);
  }

  protected get isReading(): boolean {
    return !this.ended;
  }

  protected get windowBytes(): number {
    return this.channel.limits.streamWindowBytes;
  }

  /** The outcome of a call that ends before its response. */
  protected get outcome(): Outcome {
    return this.stream === undefined ? "not-executed" : "unknown";
  }

  /** How compressed messages of the response are encoded. */
  protected get encoding(): string {
    return this.#head!.encoding!;
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
  protected openStream(compression: Compression | undefined): Http2Stream {
    const { connection } = this.channel;
    const head = this.called.head(compression, namesAgent(this.outgoing));
    this.#epoch = connection.writer.flushes;
    const stream = connection.request(head, callFields(this.outgoing), false, this);
    this.stream = stream;
    return stream;
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
    this.discardUnsplit();
    this.stopSending();
    if (outgoing.signal !== undefined) unwatchAbort(outgoing.signal, this);
    if (stream !== undefined) stream.handler = leftHandler;
    this.channel.remove(this);
  }

  protected consume(bytes: number): void {
    this.stream!.consume(bytes);
  }

  protected checkPrefix(flags: number, length: number): void {
    const { maxResponseBytes } = this.channel;
    if (length > maxResponseBytes) {
      const what = `the response of ${this.name}`;
      this.fail(messageTooLarge(what, length, maxResponseBytes, "executed"));
    } else if (flags > compressedFlag) {
      this.fail(undecodableResponse("a message has unknown flags", this.name));
    } else if (flags === compressedFlag && this.#head!.encoding === undefined) {
      this.fail(undecodableResponse("a message is compressed, by no stated encoding", this.name));
    }
  }

  #errorOf(head: ResponseFields, end: ResponseFields | undefined): MicroError | undefined {
    const { name } = this;
    // A header that has messages after it was sent before the outcome of the call was known.
    const onlyHead = head.hasStatus && !this.#hasData ? head : undefined;
    const status = end?.hasStatus === true ? end : onlyHead;
    if (status === undefined) {
      return new MicroError("internal", `missing status in the response of ${name}`);
    }
    if (status.failure !== undefined) return status.failure(head.lines);
    if (this.isWithinMessage) return undecodableResponse("it ends within a message", name);
    const reason = head.metadataError ?? end?.metadataError;
    return reason === undefined ? undefined : undecodableResponse(reason, name);
  }

  /** Returns the error of a stream that the server has reset. */
  #resetError(code: number): MicroError {
    const { name } = this;
    if (code === errorCode.cancel) {
      // A server whose clock is slightly ahead cancels the call before its deadline passes here.
      if (remainingMs(this.deadline) <= deadlineSkewMs) return deadlineExceeded(name);
      return new MicroError("canceled", `${name} was cancelled by the other side`);
    }
    if (this.#head !== undefined) {
      return new MicroError("internal", `the response of ${name} ended with ${errorName(code)}`);
    }
    if (code === errorCode.refusedStream) {
      const why = new MicroError("unavailable", "the other side refused it unseen");
      return connectionLost(name, why, "not-executed");
    }
    const what =
      code === errorCode.noError
        ? "the other side closed the stream without a response"
        : `the other side closed the stream with ${errorName(code)}`;
    return connectionLost(name, new MicroError("unavailable", what), "unknown");
  }

  /** Returns the error of a stream that was reset here, because of what the server sent. */
  #violation(code: number): MicroError {
    if (code === errorCode.enhanceYourCalm) {
      const what = "its header or trailers are too large";
      return undecodableResponse(new MicroError("resource_exhausted", what), this.name);
    }
    const what = `it violates HTTP/2 (${errorName(code)})`;
    if (this.#head !== undefined) return undecodableResponse(what, this.name);
    return connectionLost(
      this.name,
      new MicroError("unavailable", `the response cannot be read: ${what}`),
      "unknown",
    );
  }
}
