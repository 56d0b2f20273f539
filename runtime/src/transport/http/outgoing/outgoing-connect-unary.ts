import { GrowingBuffer } from "../../../base/growing-buffer.ts";
import { messageTooLarge, undecodableResponse } from "../../call-errors.ts";
import type { HeaderList } from "../../http2/hpack/header-list.ts";
import type { MessageHead } from "../../http2/message-head.ts";
import type { CallStream } from "../call-stream.ts";
import type { Compression } from "../compression/algorithms.ts";
import { maxEndBytes } from "../end-fields.ts";
import { compressedFlag, prefixBytes } from "../enveloped/message-frame.ts";
import { getFields, getPath } from "./connect-get.ts";
import { OutgoingUnary } from "./outgoing-unary.ts";
import { copyOf } from "./response-fields.ts";

const noBytes = new Uint8Array(0);

/**
 * An outgoing unary Connect call. Its request and its response are the bodies themselves, so that
 * nothing is split.
 */
export class OutgoingConnectUnary<O> extends OutgoingUnary<O> {
  /** The response as far as it has arrived. */
  #body: Uint8Array = noBytes;
  /** The response, if it arrives in several pieces. */
  #pieces: GrowingBuffer | undefined = undefined;

  override onHead(stream: CallStream, head: MessageHead, list: HeaderList): void {
    const { trailers } = this.called.protocol.read(list);
    this.outgoing.trailers = copyOf(trailers);
    super.onHead(stream, head, list);
    if (!this.ended) this.#checkLength(head.contentLength);
  }

  override onData(_stream: CallStream, bytes: Uint8Array, start: number, end: number): void {
    this.consume(end - start);
    const held = this.#pieces?.length ?? this.#body.length;
    if (!this.#checkLength(held + end - start)) return;
    if (held === 0) {
      // A view would keep all bytes that arrived together, for as long as the rest takes.
      this.#body = bytes.slice(start, end);
      return;
    }
    if (this.#pieces === undefined) {
      this.#pieces = new GrowingBuffer();
      this.#pieces.append(this.#body);
    }
    this.#pieces.append(bytes.subarray(start, end));
  }

  protected override mayCompress(request: Uint8Array, end: number): boolean {
    // Servers do not accept compressed messages in a URL.
    return this.#getPath(request, end) === undefined;
  }

  protected override sendRequest(
    request: Uint8Array,
    end: number,
    compression: Compression | undefined,
  ): void {
    const isCompressed = request[0] === compressedFlag;
    const path = isCompressed ? undefined : this.#getPath(request, end);
    if (path !== undefined) {
      this.openStreamWith(undefined, getFields(this.called, this.outgoing, path), true);
      return;
    }
    this.openStream(isCompressed ? compression : undefined);
    this.sendPart(request, prefixBytes, end);
  }

  /** The path of a call by GET; undefined for a call by POST. */
  #getPath(request: Uint8Array, end: number): string | undefined {
    if (!this.called.isGet) return undefined;
    return getPath(this.called, request.subarray(prefixBytes, end));
  }

  protected override conclude(): void {
    const body = this.#takeBody();
    const { encoding, metadataError } = this.head!;
    const isCompressed = encoding !== undefined;
    if (this.status !== 200) {
      this.concludeWithEnd({ bytes: body, isCompressed });
      return;
    }
    this.messageReceived(body, 0, body.length, 0, isCompressed);
    if (this.ended) return;
    this.concluded(
      metadataError === undefined ? undefined : undecodableResponse(metadataError, this.name),
    );
  }

  protected override close(): void {
    super.close();
    this.#body = noBytes;
    this.#pieces = undefined;
  }

  #takeBody(): Uint8Array {
    if (this.#pieces === undefined) return this.#body;
    const { buffer, byteOffset, length } = this.#pieces.take();
    // Not a Buffer: the fields of a message that is read from one would be Buffers.
    return new Uint8Array(buffer, byteOffset, length);
  }

  /** Ends the call if its response is too large; returns whether it goes on. */
  #checkLength(bytes: number): boolean {
    const most = this.status === 200 ? this.channel.maxResponseBytes : maxEndBytes;
    if (bytes <= most) return true;
    this.fail(messageTooLarge(`the response of ${this.name}`, bytes, most, "executed"));
    return false;
  }
}
