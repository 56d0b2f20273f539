import type { MicroError } from "../../../base/error.ts";
import { GrowingBuffer } from "../../../base/growing-buffer.ts";
import { codecError, encodeMetadata, messageTooLarge, responseUnread } from "../../call-errors.ts";
import { HeaderField } from "../../http2/hpack/header-field.ts";
import { runUnary } from "../../run-unary.ts";
import type { UnaryReceiver } from "../../transport.ts";
import type { CallStream } from "../call-stream.ts";
import type { Compression } from "../compression/algorithms.ts";
import { compressResponses, requestCompressed } from "../compression/keys.ts";
import { encodeMessage } from "../encode-message.ts";
import { prefixBytes } from "../enveloped/message-frame.ts";
import { IncomingCall } from "../incoming-call.ts";
import { connectFields, connectHead, errorHead, errorJson } from "./connect-response.ts";

/** An incoming unary Connect call. Its request and its response are the bodies themselves. */
export class IncomingConnectUnary extends IncomingCall implements UnaryReceiver {
  readonly #body: GrowingBuffer = new GrowingBuffer();
  /** Why it is refused when its request has arrived. */
  #refusal: MicroError | undefined;
  #isServed = true;

  start(): void {
    this.expectMessage();
    const { message, contentLength } = this.header;
    // A length that is too large is refused before any of it has arrived.
    if (message === undefined) this.#fits(contentLength);
    else if (this.#fits(message.length)) this.#body.append(message);
  }

  /** A client may read the response only when it has sent its request. */
  override refuseUnread(error: MicroError, isServed: boolean): void {
    this.#refusal = error;
    this.#isServed = isServed;
    this.expectMessage();
  }

  protected get needsRequest(): boolean {
    return true;
  }

  onData(stream: CallStream, bytes: Uint8Array, start: number, end: number): void {
    const { isGet } = this.header;
    const isRead = !this.ended && !isGet && this.#refusal === undefined;
    const isWanted = isRead && this.#fits(this.#body.length + end - start);
    if (isWanted && this.collect(this.#body, bytes.subarray(start, end))) return;
    stream.consume(end - start);
  }

  /** Refuses a request that is too large. */
  #fits(length: number): boolean {
    const { maxRequestBytes } = this.connection;
    if (length <= maxRequestBytes) return true;
    const what = `a request of ${this.method.name}`;
    this.refuse(messageTooLarge(what, length, maxRequestBytes, this.outcome));
    return false;
  }

  onEnd(): void {
    if (this.ended) return;
    this.expectNothing();
    if (this.#refusal !== undefined) {
      this.refuse(this.#refusal);
      return;
    }
    const { coding } = this.header;
    const { buffer, byteOffset, length } = this.#body.take();
    const body = new Uint8Array(buffer, byteOffset, length);
    if (coding === undefined) this.#run(body);
    else void this.#inflate(coding, body);
  }

  onWritable(): void {
    // The response is sent at once, or waits in the stream.
  }

  responded(response: unknown): void {
    if (this.ended) return;
    try {
      if (this.connection.outputFull) throw responseUnread(this.method.name);
      const { bytes, length } = encodeMessage(this, response);
      const compression = this.#compressionOf(length - prefixBytes);
      if (compression === undefined) this.#send(bytes, prefixBytes, length);
      else void this.#sendCompressed(bytes.slice(prefixBytes, length), compression);
    } catch (reason) {
      this.fail(reason);
    }
  }

  protected override sendError(error: MicroError, withMetadata: boolean): void {
    const fields = [...errorHead(error, this.#isServed), ...this.header.responseFields];
    if (withMetadata) fields.push(...this.#metadata());
    const body = Buffer.from(JSON.stringify(errorJson(error)));
    this.stream.head(undefined, fields);
    this.stream.send(body, 0, body.length, true);
  }

  async #inflate(coding: string, compressed: Uint8Array): Promise<void> {
    try {
      const bytes = await this.inflation(coding).inflate(compressed);
      if (this.ended) return;
      this.set(requestCompressed, true);
      this.#run(bytes);
    } catch (reason) {
      if (!this.ended) this.refuse(codecError(reason, this.outcome));
    }
  }

  #run(body: Uint8Array): void {
    this.release();
    const request = this.decodeRequest(body, 0, body.length);
    if (!this.ended) runUnary(this.connection.dispatcher, this, request, this);
  }

  #compressionOf(bytes: number): Compression | undefined {
    const isWanted = bytes >= this.connection.compressMinBytes && this.get(compressResponses);
    return isWanted ? this.header.compression : undefined;
  }

  async #sendCompressed(body: Uint8Array, compression: Compression): Promise<void> {
    try {
      const deflated = await this.deflation(compression).compress(body);
      if (this.ended) return;
      if (deflated === undefined) this.#send(body, 0, body.length);
      else {
        const coding = new HeaderField("content-encoding", compression.name);
        this.#send(deflated, 0, deflated.length, [coding]);
      }
    } catch (reason) {
      this.fail(reason);
    }
  }

  #send(bytes: Uint8Array, start: number, end: number, fields: HeaderField[] = []): void {
    const all = [...fields, ...this.header.responseFields, ...this.#metadata()];
    this.stream.head(connectHead(this.json === undefined ? "binary" : "json"), all);
    this.stream.send(bytes, start, end, true);
    this.finish();
  }

  /** The handler's metadata and trailers; throws if they cannot be sent. */
  #metadata(): HeaderField[] {
    const { sentMetadata, sentTrailers, method } = this;
    if (sentMetadata !== undefined) encodeMetadata(sentMetadata, method);
    if (sentTrailers !== undefined) encodeMetadata(sentTrailers, method);
    return connectFields(sentMetadata, sentTrailers);
  }
}
