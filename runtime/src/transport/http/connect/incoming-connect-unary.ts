import type { Compression } from "@connectrpc/connect/protocol";
import type { MicroError } from "../../../base/error.ts";
import { GrowingBuffer } from "../../../base/growing-buffer.ts";
import type { Peer } from "../../../call/call.ts";
import type { AnyMethod } from "../../../call/method.ts";
import type { AnyCodec } from "../../../codec/codec.ts";
import { countedSchema } from "../../../codec/message-elements.ts";
import { codecError, encodeMetadata, messageTooLarge, responseUnread } from "../../call-errors.ts";
import { HeaderField } from "../../http2/hpack/header-field.ts";
import type { Http2Stream } from "../../http2/stream.ts";
import { encodeResponse } from "../../message-bytes.ts";
import { decodeMessage } from "../../native/payload.ts";
import { runUnary } from "../../run-unary.ts";
import type { UnaryReceiver } from "../../transport.ts";
import { compressResponses } from "../compression/keys.ts";
import { CallDeflation } from "../compression/messages.ts";
import { encodeMessage } from "../encode-message.ts";
import { prefixBytes } from "../grpc/message-frame.ts";
import { type CallConnection, Http2Call, undecodable } from "../http2-call.ts";
import type { ConnectRequest } from "./connect-request.ts";
import { connectFields, connectHead, errorBody, errorHead } from "./connect-response.ts";

/** The codecs of a method's messages in JSON. */
export interface JsonCodecs {
  readonly input: AnyCodec;
  readonly output: AnyCodec;
}

/** An incoming unary Connect call. Its request and its response are the bodies themselves. */
export class IncomingConnectUnary extends Http2Call implements UnaryReceiver {
  readonly #json: JsonCodecs | undefined;
  readonly #request: ConnectRequest;
  readonly #body: GrowingBuffer = new GrowingBuffer();

  /** @param json undefined if the messages are in protobuf's binary format */
  constructor(
    connection: CallConnection,
    stream: Http2Stream,
    method: AnyMethod,
    peer: Peer,
    request: ConnectRequest,
    json: JsonCodecs | undefined,
  ) {
    super(connection, stream, method, peer, request);
    this.#request = request;
    this.#json = json;
  }

  start(): void {
    this.expectMessage();
  }

  protected get needsRequest(): boolean {
    return true;
  }

  onData(stream: Http2Stream, bytes: Uint8Array, start: number, end: number): void {
    if (this.ended) {
      stream.consume(end - start);
      return;
    }
    const { maxRequestBytes } = this.connection;
    const length = this.#body.length + end - start;
    if (length > maxRequestBytes) {
      const what = `a request of ${this.method.name}`;
      this.refuse(messageTooLarge(what, length, maxRequestBytes, this.outcome));
      stream.consume(end - start);
      return;
    }
    if (!this.collect(this.#body, bytes.subarray(start, end))) stream.consume(end - start);
  }

  onEnd(): void {
    if (this.ended) return;
    this.expectNothing();
    const body = this.#body.take();
    this.release();
    let request: unknown;
    try {
      request = this.#decode(body);
    } catch (reason) {
      const isJson = this.#json !== undefined;
      this.refuse((isJson ? codecError : undecodable)(reason, this.outcome));
      return;
    }
    runUnary(this.connection.dispatcher, this, request, this);
  }

  onWritable(): void {
    // The response is sent at once, or waits in the stream.
  }

  answered(answer: unknown): void {
    if (this.ended) return;
    try {
      if (this.connection.outputFull) throw responseUnread(this.method.name);
      const compression = this.#compression();
      if (this.#json === undefined && compression === undefined) this.#sendEncoded(answer);
      else this.#send(this.#encode(answer), compression);
    } catch (reason) {
      this.fail(reason);
    }
  }

  protected override sendError(error: MicroError, withMetadata: boolean): void {
    const fields = errorHead(error);
    if (withMetadata) fields.push(...this.#fields());
    const body = errorBody(error);
    this.stream.head(undefined, fields);
    this.stream.send(body, 0, body.length, true);
  }

  #decode(body: Buffer): unknown {
    const { maxMessageElements } = this.connection.limits;
    const bytes = new Uint8Array(body.buffer, body.byteOffset, body.length);
    const { input } = this.#json ?? this.method;
    return decodeMessage(input, bytes, 0, bytes.length, maxMessageElements);
  }

  #compression(): Compression | undefined {
    return this.get(compressResponses) ? this.#request.compression : undefined;
  }

  #encode(answer: unknown): Uint8Array {
    const { dispatcher, limits } = this.connection;
    const bytes = encodeResponse(dispatcher, this, answer, limits.maxMessageBytes);
    return this.#json === undefined
      ? bytes
      : this.#json.output.encode(this.method.output.decode(bytes));
  }

  /** Sends a response that is encoded right before it is copied. */
  #sendEncoded(answer: unknown): void {
    const { bytes, length } = encodeMessage(this, answer);
    this.stream.head(connectHead("binary"), this.#fields());
    this.stream.send(bytes, prefixBytes, length, true);
    this.finish();
  }

  #send(body: Uint8Array, compression: Compression | undefined): void {
    if (compression === undefined || body.length < this.connection.compressMinBytes) {
      this.stream.head(connectHead(this.#request.encoding), this.#fields());
      this.stream.send(body, 0, body.length, true);
      this.finish();
    } else void this.#sendCompressed(body, compression);
  }

  async #sendCompressed(body: Uint8Array, compression: Compression): Promise<void> {
    const isJson = this.#json !== undefined;
    const schema = isJson ? undefined : countedSchema(this.method.output);
    try {
      const deflated = await new CallDeflation(compression, schema, isJson).compress(body);
      if (this.ended) return;
      if (deflated === undefined) {
        this.#send(body, undefined);
        return;
      }
      const fields = [new HeaderField("content-encoding", compression.name), ...this.#fields()];
      this.stream.head(connectHead(this.#request.encoding), fields);
      this.stream.send(deflated, 0, deflated.length, true);
      this.finish();
    } catch (reason) {
      this.fail(reason);
    }
  }

  /** The handler's metadata and trailers; throws if they cannot be sent. */
  #fields(): HeaderField[] {
    const { sentMetadata, sentTrailers, method } = this;
    if (sentMetadata !== undefined) encodeMetadata(sentMetadata, method);
    if (sentTrailers !== undefined) encodeMetadata(sentTrailers, method);
    return connectFields(sentMetadata, sentTrailers);
  }
}
