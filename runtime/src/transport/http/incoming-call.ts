import { type Deadline, hasPassed } from "../../base/deadline.ts";
import { MicroError, type Outcome } from "../../base/error.ts";
import type { GrowingBuffer } from "../../base/growing-buffer.ts";
import { deadlineExceeded, type Peer, ServerCall } from "../../call/call.ts";
import type { AnyMethod } from "../../call/method.ts";
import { countedSchema } from "../../codec/message-elements.ts";
import { lateMessage } from "../body-deadline.ts";
import { callerGone, codecError, responseError } from "../call-errors.ts";
import { errorCode } from "../http2/error-code.ts";
import type { HeaderField } from "../http2/hpack/header-field.ts";
import type { ResetBy } from "../http2/stream.ts";
import { decodeMessage } from "../native/payload.ts";
import { slowestMs } from "../streams/progress.ts";
import type { CallStream, CallStreamHandler } from "./call-stream.ts";
import type { Compression } from "./compression/algorithms.ts";
import { MessageInflation } from "./compression/message-inflation.ts";
import { CallDeflation } from "./compression/messages.ts";
import { deadlineSkewMs } from "./deadline-skew.ts";
import type { JsonCodecs, ResponseConnection } from "./encode-message.ts";
import { goMicroStatus } from "./go-micro-detail.ts";

/** What a call requires of the connection that it arrived on. */
export interface CallConnection extends ResponseConnection {
  /** The time at which the current chunk arrived. */
  readonly now: Deadline;
  /** Messages of at least this size are compressed, in bytes. */
  readonly compressMinBytes: number;
  /** The largest request, in bytes. */
  readonly maxRequestBytes: number;
  /** To how many times their size compressed requests may inflate. */
  readonly maxInflationRatio: number;
  /** The time for a message in addition to what its size allows, in milliseconds. */
  readonly messageGraceMs: number;
  /** Cost of stream messages that have arrived and are still unread, over all calls. */
  unreadCost: number;
  readonly maxUnreadCost: number;
  /** Whether the client leaves so much unread that no further response may be buffered for it. */
  readonly outputFull: boolean;
  /** Counts memory of incomplete messages, in bytes. Returns the error if there is no room. */
  holdIncomplete(bytes: number): MicroError | undefined;
  /** Called when a call's stream is closed: its response was sent, or its caller is lost. */
  callEnded(call: IncomingCall): void;
}

/** What the header of a request states about its call, in every protocol. */
export interface CallHeader {
  /** The timeout that the caller states, in milliseconds; Infinity if there is none. */
  readonly timeoutMs: number;
  /** The metadata in its encoded form, within its limits; undefined if there is none. */
  readonly metadata: Uint8Array | undefined;
  /** The announced length of the body; -1 if there is none. */
  readonly contentLength: number;
  /** Whether the message is in the URL. */
  readonly isGet: boolean;
  /** The message that is in the URL. */
  readonly message: Uint8Array | undefined;
  /** Whether the caller is a go-micro gRPC client. */
  readonly isGoMicro: boolean;
  /** How messages of the request are compressed, if some may be. */
  readonly coding: string | undefined;
  /** How messages of the response may be compressed, if the caller accepts that. */
  readonly compression: Compression | undefined;
  /** Fields that the header of the response has in addition to those of its protocol. */
  readonly responseFields: readonly HeaderField[];
}

/**
 * A call at the server's end of a connection: the handler's view of the call, and the receiver of
 * its stream. A subclass reads the requests and writes the response in one protocol.
 */
export abstract class IncomingCall extends ServerCall implements CallStreamHandler {
  readonly stream: CallStream;
  readonly connection: CallConnection;
  readonly json: JsonCodecs | undefined;
  protected readonly header: CallHeader;
  /** The response is complete, or must not be sent. */
  ended = false;
  /** Memory of incomplete requests that is counted for this call, in bytes. */
  #heldBytes = 0;
  /** Until when the message that is due must be complete. */
  #messageDueAt: Deadline = Number.POSITIVE_INFINITY;

  /** @param json undefined if the messages are in protobuf's binary format */
  constructor(
    connection: CallConnection,
    stream: CallStream,
    method: AnyMethod,
    peer: Peer,
    header: CallHeader,
    json: JsonCodecs | undefined,
  ) {
    const { metadata, timeoutMs } = header;
    const deadline = connection.now + timeoutMs;
    super(method, peer, metadata, deadline);
    this.connection = connection;
    this.stream = stream;
    this.header = header;
    this.json = json;
    if (deadline !== Number.POSITIVE_INFINITY) stream.wakeAt(deadline);
  }

  /** Begins the call. Only a call whose handler needs no request runs already. */
  abstract start(): void;
  abstract onData(stream: CallStream, bytes: Uint8Array, start: number, end: number): void;
  abstract onEnd(): void;
  abstract onWritable(): void;
  /** Sends an error, with the handler's metadata and trailers; throws if those cannot be sent. */
  protected abstract sendError(error: MicroError, withMetadata: boolean): void;

  onHead(): void {
    // Only responses have a header here.
  }

  onReset(_stream: CallStream, code: number, by: ResetBy): void {
    // The response is complete, and the rest of the request is not needed.
    if (by === "self" && code === errorCode.noError) return;
    if (this.ended) return;
    const { name } = this.method;
    // A caller whose deadline passes slightly earlier than here resets the stream.
    const isLate = this.remainingMs() <= deadlineSkewMs;
    const reason = isLate ? deadlineExceeded(name) : callerGone(name);
    this.finish(reason);
    this.cancel(reason);
  }

  onClosed(): void {
    this.connection.callEnded(this);
  }

  onDue(stream: CallStream, now: Deadline): void {
    if (this.ended) return;
    if (this.deadline <= now) this.refuse(deadlineExceeded(this.method.name));
    else if (this.#messageDueAt <= now) {
      this.refuse(codecError(lateMessage(this.connection.messageGraceMs), this.outcome));
    } else stream.wakeAt(Math.min(this.deadline, this.#messageDueAt));
  }

  /** Responds with an error. */
  fail(reason: unknown): void {
    if (this.ended) return;
    this.#respondWith(reason);
    this.finish();
  }

  #respondWith(reason: unknown): void {
    const { name, service } = this.method;
    const known = responseError(reason, name);
    const error = this.header.isGoMicro ? goMicroStatus(known, service) : known;
    try {
      this.sendError(error, true);
    } catch {
      // Metadata that cannot be sent must not hide the error from the caller.
      this.sendError(error, false);
    }
  }

  failed(reason: unknown): void {
    this.fail(reason);
  }

  /** Ends the call from this side: its caller gets the error, and its handler is cancelled. */
  override refuse(error: MicroError): void {
    if (this.ended) return;
    this.#respondWith(error);
    this.finish(error);
    this.cancel(error);
  }

  /**
   * As {@link refuse}, for a call that has not begun.
   *
   * @param _isServed whether there is such a method
   */
  refuseUnread(error: MicroError, _isServed: boolean): void {
    this.refuse(error);
  }

  /** The outcome of a call that is refused for its request. */
  protected get outcome(): Outcome {
    return this.needsRequest ? "not-executed" : "unknown";
  }

  /** Decodes a request. Returns undefined if that fails, after {@link unreadable}. */
  protected decodeRequest(bytes: Uint8Array, start: number, end: number): unknown {
    const { maxMessageElements } = this.connection.limits;
    const { input } = this.json ?? this.method;
    try {
      return decodeMessage(input, bytes, start, end, maxMessageElements);
    } catch (reason) {
      this.unreadable(this.#undecodable(reason));
      return undefined;
    }
  }

  /** Ends the call because a request cannot be read. */
  protected unreadable(error: MicroError): void {
    this.refuse(error);
  }

  /** Protobuf that cannot be decoded is `internal`, as in gRPC's libraries. */
  #undecodable(reason: unknown): MicroError {
    const { outcome } = this;
    const error = codecError(reason, outcome);
    if (this.json !== undefined || error.code !== "invalid_argument") return error;
    return new MicroError("internal", error.message, { outcome, cause: reason });
  }

  /** Creates what inflates the requests. */
  protected inflation(coding: string): MessageInflation {
    const { method, json } = this;
    const { maxRequestBytes, maxInflationRatio } = this.connection;
    const schema = json === undefined ? countedSchema(method.input) : undefined;
    const form = { schema, isJson: json !== undefined };
    const limits = { maxBytes: maxRequestBytes, maxRatio: maxInflationRatio };
    return new MessageInflation(limits, coding, form, () => this.#over());
  }

  /** Returns why no caller is waiting any longer; undefined while one is. */
  #over(): MicroError | undefined {
    if (this.ended) return callerGone(this.method.name);
    return hasPassed(this.deadline) ? deadlineExceeded(this.method.name) : undefined;
  }

  /** Creates what compresses the responses. */
  protected deflation(compression: Compression): CallDeflation {
    const { method, json } = this;
    const schema = json === undefined ? countedSchema(method.output) : undefined;
    return new CallDeflation(compression, schema, json !== undefined);
  }

  /** Whether nothing runs before a request has arrived, which must therefore arrive in time. */
  protected abstract readonly needsRequest: boolean;

  /** Whether a message, or the end of the request, is required within a time. */
  protected get expectsMessage(): boolean {
    return this.#messageDueAt !== Number.POSITIVE_INFINITY;
  }

  /** Requires a message, or the end of the request, within a time. */
  protected expectMessage(): void {
    this.#messageDueAt = this.connection.now + this.connection.messageGraceMs;
    this.stream.wakeAt(Math.min(this.deadline, this.#messageDueAt));
  }

  /** Called when nothing is due any longer. */
  protected expectNothing(): void {
    this.#messageDueAt = Number.POSITIVE_INFINITY;
  }

  /**
   * Adds to a request that is incomplete. Its bytes no longer count against the window. Returns
   * false if there is no room for it, after the call was refused.
   */
  collect(into: GrowingBuffer, piece: Uint8Array): boolean {
    if (!this.hold(into.growthFor(piece.length))) return false;
    into.append(piece);
    this.#messageDueAt += slowestMs(piece.length);
    this.stream.consume(piece.length);
    return true;
  }

  /**
   * Counts memory of the incomplete request, in bytes. Returns false if there is no room for it,
   * after the call was refused.
   */
  protected hold(bytes: number): boolean {
    const full = this.connection.holdIncomplete(bytes);
    if (full !== undefined) {
      this.refuse(codecError(full, this.outcome));
      return false;
    }
    this.#heldBytes += bytes;
    return true;
  }

  /** Called when nothing of the request is incomplete any longer. */
  protected release(): void {
    if (this.#heldBytes > 0) this.connection.holdIncomplete(-this.#heldBytes);
    this.#heldBytes = 0;
  }

  /**
   * Called when the response is complete, or must not be sent.
   *
   * @param reason why the handler's call ends early
   */
  protected finish(_reason?: MicroError): void {
    this.ended = true;
    this.release();
    this.stream.dueAt = Number.POSITIVE_INFINITY;
  }
}
