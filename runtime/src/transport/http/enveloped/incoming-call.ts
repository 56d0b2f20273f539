import { MicroError } from "../../../base/error.ts";
import type { GrowingBuffer } from "../../../base/growing-buffer.ts";
import type { Metadata } from "../../../base/metadata.ts";
import type { Peer } from "../../../call/call.ts";
import type { AnyMethod } from "../../../call/method.ts";
import { encodeMetadata, messageTooLarge } from "../../call-errors.ts";
import type { CallStream } from "../call-stream.ts";
import type { Compression } from "../compression/algorithms.ts";
import { compressResponses } from "../compression/keys.ts";
import type { CallDeflation } from "../compression/messages.ts";
import { encodeMessage, type JsonCodecs } from "../encode-message.ts";
import { metadataFields } from "../grpc/grpc-response.ts";
import { type CallConnection, type CallHeader, IncomingCall } from "../incoming-call.ts";
import type { EnvelopedProtocol } from "./enveloped-protocol.ts";
import { compressedFlag, framed, prefixBytes } from "./message-frame.ts";
import { type MessageReceiver, MessageSplitter } from "./message-splitter.ts";

/**
 * A call at the server's end of a connection whose messages are enveloped, in any protocol. The
 * bytes of an incomplete message are consumed as they arrive, and count as those of the connection.
 */
export abstract class IncomingEnvelopedCall extends IncomingCall implements MessageReceiver {
  readonly #protocol: EnvelopedProtocol;
  #headSent = false;
  #deflation: CallDeflation | undefined;
  protected readonly splitter: MessageSplitter = new MessageSplitter(this);

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
  protected abstract messageReceived(
    bytes: Uint8Array,
    start: number,
    end: number,
    windowBytes: number,
    isCompressed: boolean,
  ): void;
  /** Handles the end of the requests. */
  protected abstract requestsEnded(): void;

  onData(stream: CallStream, bytes: Uint8Array, start: number, end: number): void {
    const at = this.splitter.split(bytes, start, end);
    if (at < end) stream.consume(end - at);
  }

  onEnd(): void {
    this.splitter.whenSplit(() => this.#allSplit());
  }

  #allSplit(): void {
    if (this.ended) return;
    if (!this.splitter.isWithinMessage) this.requestsEnded();
    else {
      const text = `the request of ${this.method.name} ends within a message`;
      this.refuse(new MicroError("invalid_argument", text, { outcome: this.outcome }));
    }
  }

  get isReading(): boolean {
    return !this.ended;
  }

  get acceptsMessage(): boolean {
    return true;
  }

  override collect(message: GrowingBuffer, piece: Uint8Array): boolean {
    if (!this.expectsMessage) this.expectMessage();
    return super.collect(message, piece);
  }

  collected(): number {
    this.release();
    if (!this.needsRequest) this.expectNothing();
    return 0;
  }

  received(
    bytes: Uint8Array,
    start: number,
    end: number,
    windowBytes: number,
    flags: number,
  ): void {
    this.messageReceived(bytes, start, end, windowBytes, flags === compressedFlag);
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
    super.finish(reason);
    this.splitter.discard();
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

  /** Checks the prefix of a message, and refuses the call if it is not accepted. */
  checkPrefix(flags: number, length: number): void {
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
  }
}

/** Returns the error for a number of requests that does not fit the method. */
export function wrongCount(message: string): MicroError {
  return new MicroError("unimplemented", message, { outcome: "not-executed" });
}
