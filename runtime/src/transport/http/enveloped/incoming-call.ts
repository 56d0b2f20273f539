import { MicroError } from "../../../base/error.ts";
import { GrowingBuffer } from "../../../base/growing-buffer.ts";
import type { Metadata } from "../../../base/metadata.ts";
import type { Peer } from "../../../call/call.ts";
import type { AnyMethod } from "../../../call/method.ts";
import { encodeMetadata, messageTooLarge } from "../../call-errors.ts";
import { readUint32 } from "../../http2/protocol.ts";
import type { CallStream } from "../call-stream.ts";
import type { Compression } from "../compression/algorithms.ts";
import { compressResponses } from "../compression/keys.ts";
import type { CallDeflation } from "../compression/messages.ts";
import { encodeMessage, type JsonCodecs } from "../encode-message.ts";
import { metadataFields } from "../grpc/grpc-response.ts";
import { type CallConnection, type CallHeader, IncomingCall } from "../incoming-call.ts";
import type { EnvelopedProtocol } from "./enveloped-protocol.ts";
import { compressedFlag, framed, prefixBytes } from "./message-frame.ts";

/** A call at the server's end of a connection whose messages are enveloped, in any protocol. */
export abstract class IncomingEnvelopedCall extends IncomingCall {
  readonly #protocol: EnvelopedProtocol;
  #headSent = false;
  #deflation: CallDeflation | undefined;
  /** The message whose end has not arrived. */
  #partial: GrowingBuffer | undefined;

  constructor(
    connection: CallConnection,
    stream: CallStream,
    method: AnyMethod,
    peer: Peer,
    header: CallHeader,
    json: JsonCodecs | undefined,
    protocol: EnvelopedProtocol,
  ) {
    super(connection, stream, method, peer, header, json);
    this.#protocol = protocol;
  }

  /**
   * Handles a message of the request.
   *
   * @param windowBytes how much of the stream's window it takes until it is consumed
   * @param isCompressed only if the header names a coding
   */
  protected abstract received(
    bytes: Uint8Array,
    start: number,
    end: number,
    windowBytes: number,
    isCompressed: boolean,
  ): void;
  /** Handles the end of the requests. */
  protected abstract requestsEnded(): void;

  onData(_stream: CallStream, bytes: Uint8Array, start: number, end: number): void {
    const at = this.read(bytes, start, end);
    if (at < end) this.stream.consume(end - at);
  }

  /** Reads messages as long as the call accepts any. Returns where it stopped. */
  protected read(bytes: Uint8Array, start: number, end: number): number {
    let at = start;
    while (at < end && !this.ended) {
      if (this.#partial !== undefined) at = this.#fill(bytes, at, end);
      else if (this.acceptsMessage) at = this.#begin(bytes, at, end);
      else return at;
    }
    return at;
  }

  /** Whether a further message may be passed on. */
  protected get acceptsMessage(): boolean {
    return true;
  }

  onEnd(): void {
    if (this.ended) return;
    if (this.#partial === undefined) this.requestsEnded();
    else {
      const text = `the request of ${this.method.name} ends within a message`;
      this.refuse(new MicroError("invalid_argument", text, { outcome: this.outcome }));
    }
  }

  /**
   * Sends a message of the response, and before the first one the header. Returns whether more may
   * follow at once; a promise of that if the message is compressed.
   */
  protected sendMessage(response: unknown): boolean | Promise<boolean> {
    const message = encodeMessage(this, response);
    this.#sendHead(this.sentMetadata);
    const { compression } = this.header;
    const isLarge = message.length - prefixBytes >= this.connection.compressMinBytes;
    if (compression !== undefined && isLarge && this.get(compressResponses)) {
      return this.#sendCompressed(message.bytes.slice(0, message.length), compression);
    }
    return this.stream.send(message.bytes, 0, message.length);
  }

  async #sendCompressed(message: Uint8Array, compression: Compression): Promise<boolean> {
    this.#deflation ??= this.deflation(compression);
    const deflated = await this.#deflation.compress(message.subarray(prefixBytes));
    if (this.ended) return true;
    const sent = deflated === undefined ? message : framed(compressedFlag, deflated);
    return this.stream.send(sent, 0, sent.length);
  }

  /** Ends a response that is not an error. */
  protected sendEnd(): void {
    const trailers = this.sentTrailers;
    if (trailers !== undefined) encodeMetadata(trailers, this.method);
    this.#sendHead(this.sentMetadata);
    this.#protocol.end(this.stream, undefined, trailers);
    this.finish();
  }

  #sendHead(metadata: Metadata | undefined): void {
    if (this.#headSent) return;
    if (metadata !== undefined) encodeMetadata(metadata, this.method);
    const { compression, responseFields } = this.header;
    const fields = [...responseFields, ...metadataFields(metadata)];
    this.stream.head(this.#protocol.head(compression?.name), fields);
    this.#headSent = true;
  }

  protected override finish(reason?: MicroError): void {
    this.#partial = undefined;
    super.finish(reason);
  }

  protected override sendError(error: MicroError, withMetadata: boolean): void {
    const metadata = withMetadata ? this.sentMetadata : undefined;
    const trailers = withMetadata ? this.sentTrailers : undefined;
    if (trailers !== undefined) encodeMetadata(trailers, this.method);
    const isBare = !this.#headSent && metadata === undefined;
    const only = isBare ? this.#protocol.failureFields(error, trailers) : undefined;
    if (only === undefined) {
      this.#sendHead(metadata);
      this.#protocol.end(this.stream, error, trailers);
    } else {
      const fields = [...this.header.responseFields, ...only];
      this.stream.head(this.#protocol.head(undefined), fields, true);
    }
    this.#headSent = true;
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
    if (!this.expectsMessage) this.expectMessage();
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
    return this.collect(this.#partial!, bytes.subarray(at, end)) ? end : at;
  }

  #dropPartial(): void {
    if (this.#partial === undefined) return;
    this.#partial = undefined;
    this.release();
    if (!this.needsRequest) this.expectNothing();
  }

  /** Checks the prefix of a message, and refuses the call if it is not accepted. */
  #check(flags: number, length: number): boolean {
    const { name } = this.method;
    const { maxRequestBytes } = this.connection;
    if (length > maxRequestBytes) {
      this.refuse(messageTooLarge(`a request of ${name}`, length, maxRequestBytes, this.outcome));
    } else if (flags === compressedFlag && this.header.coding === undefined) {
      this.refuse(
        new MicroError("internal", `a request of ${name} is compressed, by no stated encoding`, {
          outcome: this.outcome,
        }),
      );
    } else if (flags > compressedFlag) {
      const text = `a request of ${name} has unknown flags`;
      this.refuse(new MicroError("invalid_argument", text, { outcome: this.outcome }));
    }
    return !this.ended;
  }
}

/** Returns the error for a number of requests that does not fit the method. */
export function wrongCount(message: string): MicroError {
  return new MicroError("unimplemented", message, { outcome: "not-executed" });
}
