import type { Compression } from "@connectrpc/connect/protocol";
import type { Deadline } from "../../../base/deadline.ts";
import { MicroError, type Outcome } from "../../../base/error.ts";
import { GrowingBuffer } from "../../../base/growing-buffer.ts";
import { Metadata } from "../../../base/metadata.ts";
import { deadlineExceeded, type Peer, ServerCall } from "../../../call/call.ts";
import type { AnyMethod } from "../../../call/method.ts";
import { countedSchema } from "../../../codec/message-elements.ts";
import { lateMessage } from "../../body-deadline.ts";
import {
  answerError,
  callerGone,
  codecError,
  encodeMetadata,
  messageTooLarge,
} from "../../call-errors.ts";
import { errorCode } from "../../http2/error-code.ts";
import { readUint32 } from "../../http2/protocol.ts";
import type { Http2Stream, ResetBy, StreamHandler } from "../../http2/stream.ts";
import { slowestMs } from "../../streams/progress.ts";
import { compressions } from "../compression/algorithms.ts";
import { compressResponses } from "../compression/keys.ts";
import { CallDeflation } from "../compression/messages.ts";
import { deadlineSkewMs } from "../deadline-skew.ts";
import { encodeMessage, type ResponseConnection } from "./encode-message.ts";
import type { GrpcRequest } from "./grpc-request.ts";
import {
  metadataFields,
  responseHead,
  responseHeadFor,
  statusFields,
  successTrailers,
} from "./grpc-response.ts";

/** Bytes before a message: a flag and its length. */
const prefixBytes = 5;
/** The flag of a compressed message. */
const compressedFlag = 1;

/** What a call requires of the connection that it arrived on. */
export interface GrpcCalls extends ResponseConnection {
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
  /** Called when a call has its response, or has lost its caller. */
  callEnded(call: IncomingGrpcCall): void;
}

/**
 * A gRPC call at the server's end of a connection: the handler's view of the call, the receiver of
 * its stream, and the writer of its response.
 */
export abstract class IncomingGrpcCall extends ServerCall implements StreamHandler {
  readonly stream: Http2Stream;
  readonly connection: GrpcCalls;
  /** The response is complete, or must not be sent. */
  ended = false;
  /** How compressed messages of the request are encoded, if there may be any. */
  protected readonly encoding: string | undefined;
  #headSent = false;
  /** How messages of the response are compressed, if the caller accepts it. */
  readonly #compression: Compression | undefined;
  #deflation: CallDeflation | undefined;
  /** The message whose end has not arrived. */
  #partial: GrowingBuffer | undefined;
  /** The memory that it takes, in bytes. */
  #heldBytes = 0;
  /** Until when the message that is due must be complete. */
  #messageDueAt: Deadline = Number.POSITIVE_INFINITY;

  constructor(
    connection: GrpcCalls,
    stream: Http2Stream,
    method: AnyMethod,
    peer: Peer,
    { metadata, timeoutMs, encoding, accepted }: GrpcRequest,
  ) {
    const deadline = connection.now + timeoutMs;
    super(method, peer, metadata === undefined ? undefined : Metadata.decode(metadata), deadline);
    this.connection = connection;
    this.stream = stream;
    this.encoding = encoding;
    this.#compression = compressionFor(accepted);
    if (deadline !== Number.POSITIVE_INFINITY) stream.wakeAt(deadline);
  }

  /**
   * Handles a message of the request.
   *
   * @param windowBytes how much of the stream's window it takes until it is consumed
   * @param isCompressed only if there is an {@link encoding}
   */
  protected abstract received(
    bytes: Uint8Array,
    start: number,
    end: number,
    windowBytes: number,
    isCompressed: boolean,
  ): void;
  /** Begins a call whose handler needs no request. */
  abstract start(): void;
  /** Handles the end of the requests. */
  protected abstract requestsEnded(): void;
  abstract onWritable(): void;

  onHead(): void {
    // Only responses have a header here.
  }

  onData(_stream: Http2Stream, bytes: Uint8Array, start: number, end: number): void {
    let at = start;
    while (at < end && !this.ended) {
      at = this.#partial === undefined ? this.#begin(bytes, at, end) : this.#fill(bytes, at, end);
    }
    if (at < end) this.stream.consume(end - at);
  }

  onEnd(): void {
    if (this.ended) return;
    if (this.#partial === undefined) this.requestsEnded();
    else {
      const text = `the request of ${this.method.name} ends within a message`;
      this.refuse(new MicroError("invalid_argument", text, { outcome: "not-executed" }));
    }
  }

  onReset(_stream: Http2Stream, code: number, by: ResetBy): void {
    // The response is complete, and the rest of the request is not needed.
    if (by === "self" && code === errorCode.noError) return;
    const { name } = this.method;
    // A caller whose deadline passes slightly earlier than here resets the stream.
    const isLate = this.remainingMs() <= deadlineSkewMs;
    this.#abandon(isLate ? deadlineExceeded(name) : callerGone(name));
  }

  onDue(stream: Http2Stream, now: Deadline): void {
    if (this.ended) return;
    if (this.deadline <= now) this.refuse(deadlineExceeded(this.method.name));
    else if (this.#messageDueAt <= now) {
      this.refuse(lateMessage(this.connection.messageGraceMs));
    } else stream.wakeAt(Math.min(this.deadline, this.#messageDueAt));
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

  /** Responds with an error. */
  fail(reason: unknown): void {
    if (this.ended) return;
    const error = answerError(reason, this.method.name);
    const status = statusFields(error);
    try {
      this.#sendError(status, this.sentMetadata, this.sentTrailers);
    } catch {
      // Metadata that cannot be sent must not hide the error from the caller.
      this.#sendError(status, undefined, undefined);
    }
    this.finish();
  }

  /** Ends the call from this side: its caller gets the error, and its handler is cancelled. */
  refuse(error: MicroError): void {
    this.fail(error);
    this.giveUp(error);
  }

  /** Notifies the handler that the caller is no longer waiting. */
  protected giveUp(reason: MicroError): void {
    this.cancel(reason);
  }

  /** Called when the response is complete, or must not be sent. */
  protected finish(): void {
    this.ended = true;
    this.#dropPartial();
    this.stream.dueAt = Number.POSITIVE_INFINITY;
    this.connection.callEnded(this);
  }

  /**
   * Sends a message of the response, and before the first one the header. Returns whether more may
   * follow at once; a promise of that if the message is compressed.
   */
  protected sendMessage(answer: unknown): boolean | Promise<boolean> {
    const message = encodeMessage(this, answer);
    this.#sendHead();
    const isLarge = message.length - prefixBytes >= this.connection.compressMinBytes;
    if (this.#compression !== undefined && isLarge && this.get(compressResponses)) {
      return this.#sendCompressed(message.bytes.slice(0, message.length), this.#compression);
    }
    return this.stream.send(message.bytes, 0, message.length);
  }

  async #sendCompressed(message: Uint8Array, compression: Compression): Promise<boolean> {
    const schema = countedSchema(this.method.output);
    this.#deflation ??= new CallDeflation(compression, schema, false);
    const deflated = await this.#deflation.compress(message.subarray(prefixBytes));
    if (this.ended) return true;
    const sent = deflated === undefined ? message : withPrefix(compressedFlag, deflated);
    return this.stream.send(sent, 0, sent.length);
  }

  /** Ends a response that is not an error. */
  protected sendEnd(): void {
    const trailers = this.sentTrailers;
    if (trailers !== undefined) encodeMetadata(trailers, this.method);
    this.#sendHead();
    this.stream.trailers(successTrailers, metadataFields(trailers));
    this.finish();
  }

  #sendHead(): void {
    if (this.#headSent) return;
    const metadata = this.sentMetadata;
    if (metadata !== undefined) encodeMetadata(metadata, this.method);
    this.stream.head(responseHeadFor(this.#compression?.name), metadataFields(metadata));
    this.#headSent = true;
  }

  #sendError(
    status: ReturnType<typeof statusFields>,
    metadata: Metadata | undefined,
    trailers: Metadata | undefined,
  ): void {
    const { stream, method } = this;
    if (trailers !== undefined) encodeMetadata(trailers, method);
    const end = [...status, ...metadataFields(trailers)];
    if (!this.#headSent && metadata === undefined) {
      stream.head(responseHead, end, true);
    } else {
      if (!this.#headSent && metadata !== undefined) this.#sendHead();
      stream.trailers(undefined, end);
    }
    this.#headSent = true;
  }

  #abandon(reason: MicroError): void {
    if (this.ended) return;
    this.finish();
    this.giveUp(reason);
  }

  /** Reads the message that begins at `at`, if it is complete. */
  #begin(bytes: Uint8Array, at: number, end: number): number {
    if (end - at >= prefixBytes) {
      const length = readUint32(bytes, at + 1);
      const messageEnd = at + prefixBytes + length;
      if (!this.#check(bytes[at]!, length)) return at;
      if (messageEnd <= end) {
        const isCompressed = bytes[at] === compressedFlag;
        this.received(bytes, at + prefixBytes, messageEnd, messageEnd - at, isCompressed);
        return messageEnd;
      }
    }
    this.#partial = new GrowingBuffer();
    if (this.#messageDueAt === Number.POSITIVE_INFINITY) this.expectMessage();
    return this.#fill(bytes, at, end);
  }

  /** Adds to the incomplete message. Its bytes no longer count against the window. */
  #fill(bytes: Uint8Array, from: number, end: number): number {
    const partial = this.#partial!;
    let at = from;
    if (partial.length < prefixBytes) {
      at = this.#hold(bytes, at, Math.min(end, at + prefixBytes - partial.length));
      if (this.ended || partial.length < prefixBytes) return at;
      if (!this.#check(partial.bytes[0]!, partial.bytes.readUInt32BE(1))) return at;
    }
    const total = prefixBytes + partial.bytes.readUInt32BE(1);
    at = this.#hold(bytes, at, Math.min(end, at + total - partial.length));
    if (this.ended || partial.length < total) return at;
    const message = partial.bytes;
    this.#dropPartial();
    const whole = new Uint8Array(message.buffer, message.byteOffset, message.length);
    this.received(whole, prefixBytes, total, 0, whole[0] === compressedFlag);
    return at;
  }

  #hold(bytes: Uint8Array, at: number, end: number): number {
    const partial = this.#partial!;
    const growth = partial.growthFor(end - at);
    const full = this.connection.holdIncomplete(growth);
    if (full !== undefined) {
      this.refuse(full);
      return at;
    }
    this.#heldBytes += growth;
    partial.append(bytes.subarray(at, end));
    this.#messageDueAt += slowestMs(end - at);
    this.stream.consume(end - at);
    return end;
  }

  #dropPartial(): void {
    if (this.#partial === undefined) return;
    this.connection.holdIncomplete(-this.#heldBytes);
    this.#heldBytes = 0;
    this.#partial = undefined;
    if (!this.needsRequest) this.expectNothing();
  }

  /** Whether nothing runs before a request has arrived, which must therefore arrive in time. */
  protected get needsRequest(): boolean {
    return false;
  }

  /** Checks the prefix of a message, and refuses the call if it is not accepted. */
  #check(flags: number, length: number): boolean {
    const { name } = this.method;
    const { maxRequestBytes } = this.connection;
    if (length > maxRequestBytes) {
      this.refuse(messageTooLarge(`a request of ${name}`, length, maxRequestBytes, "not-executed"));
    } else if (flags === compressedFlag && this.encoding === undefined) {
      this.refuse(
        new MicroError("internal", `a request of ${name} is compressed, by no stated encoding`, {
          outcome: "not-executed",
        }),
      );
    } else if (flags > compressedFlag) {
      this.refuse(new MicroError("invalid_argument", `a request of ${name} has unknown flags`));
    }
    return !this.ended;
  }
}

/** Returns the error for a request that cannot be decoded: `internal`, as in gRPC's libraries. */
export function undecodable(reason: unknown, outcome: Outcome): MicroError {
  const error = codecError(reason, outcome);
  if (error.code !== "invalid_argument") return error;
  return new MicroError("internal", error.message, { outcome, cause: reason });
}

/** Returns the error for a number of requests that does not fit the method. */
export function wrongCount(message: string): MicroError {
  return new MicroError("unimplemented", message, { outcome: "not-executed" });
}

/** Returns the first of the encodings that a caller accepts and this side knows. */
function compressionFor(accepted: string | undefined): Compression | undefined {
  if (accepted === undefined || accepted === "identity") return undefined;
  for (const name of accepted.split(",")) {
    const compression = compressions.find((it) => it.name === name.trim());
    if (compression !== undefined) return compression;
  }
  return undefined;
}

function withPrefix(flags: number, message: Uint8Array): Uint8Array {
  const bytes = Buffer.allocUnsafe(prefixBytes + message.length);
  bytes[0] = flags;
  bytes.writeUInt32BE(message.length, 1);
  bytes.set(message, prefixBytes);
  return bytes;
}
