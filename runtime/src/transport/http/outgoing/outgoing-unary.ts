import { hasPassed } from "../../../base/deadline.ts";
import { MicroError } from "../../../base/error.ts";
import { deadlineExceeded } from "../../../call/call.ts";
import { codecError, messageTooLarge, undecodableResponse } from "../../call-errors.ts";
import { decodeMessage } from "../../native/payload.ts";
import type { OutgoingCall, UnaryReceiver } from "../../transport.ts";
import type { Compression } from "../compression/algorithms.ts";
import {
  compressedFlag,
  framed,
  frameLarge,
  frameSmall,
  prefixBytes,
  smallFrame,
} from "../enveloped/message-frame.ts";
import { OutgoingHttpCall } from "./outgoing-call.ts";
import type { OutgoingCalls } from "./outgoing-calls.ts";
import { deflationOf, type OutgoingMethod } from "./outgoing-methods.ts";
import { ResponseInflation } from "./response-inflation.ts";

/** An outgoing unary call. */
export class OutgoingUnary<O> extends OutgoingHttpCall {
  readonly #receiver: UnaryReceiver<O>;
  /** The request with its prefix, until it is sent. */
  #request: Uint8Array | undefined = undefined;
  #requestBytes = 0;
  #compression: Compression | undefined = undefined;
  #response: unknown = undefined;
  #responses = 0;
  /** Why the response cannot be decoded. */
  #unreadable: MicroError | undefined = undefined;
  #isInflating = false;
  /** Passes the end on, once the response is inflated. */
  #end: (() => void) | undefined = undefined;

  constructor(
    channel: OutgoingCalls,
    called: OutgoingMethod,
    outgoing: OutgoingCall,
    receiver: UnaryReceiver<O>,
  ) {
    super(channel, called, outgoing);
    this.#receiver = receiver;
  }

  /** Encodes the request, and begins the call. */
  start(request: unknown): void {
    const { channel, outgoing } = this;
    try {
      const { compress } = outgoing;
      const isWanted = typeof compress === "function" ? compress() : compress !== false;
      outgoing.metadata?.encode();
      const bytes = this.#encode(request);
      if (isWanted && channel.compression !== undefined) {
        if (this.mayCompress(bytes, this.#requestBytes)) this.#compression = channel.compression;
      }
    } catch (reason) {
      this.ended = true;
      this.#receiver.failed(codecError(reason, "not-executed"));
      return;
    }
    channel.add(this);
    const isLarge = this.#requestBytes - prefixBytes >= channel.compressMinBytes;
    if (this.#compression !== undefined && isLarge) void this.#deflate(this.#compression);
    else this.begin();
  }

  open(): void {
    const request = this.#request!;
    this.#request = undefined;
    try {
      this.sendRequest(request, this.#requestBytes, this.#compression);
    } catch (reason) {
      this.fail(codecError(reason, "not-executed"));
    }
  }

  /** Called when the call has to wait: its request must not be overwritten by the next one. */
  override waits(): void {
    if (this.#request === smallFrame) this.#request = smallFrame.slice(0, this.#requestBytes);
  }

  onWritable(): void {
    // Its only message is sent at once, or waits in the stream.
  }

  /**
   * Whether its request may be compressed.
   *
   * @param _request with its prefix
   */
  protected mayCompress(_request: Uint8Array, _end: number): boolean {
    return true;
  }

  /**
   * Opens the stream, and sends the request.
   *
   * @param request with its prefix
   * @param compression of requests that are large enough, if any is compressed
   */
  protected sendRequest(
    request: Uint8Array,
    end: number,
    compression: Compression | undefined,
  ): void {
    this.openStream(compression);
    this.sendPart(request, 0, end);
  }

  /** Sends part of a request, and with it everything. */
  protected sendPart(request: Uint8Array, start: number, end: number): void {
    const stream = this.stream!;
    const isShared = request === smallFrame;
    // Only what is sent at once is copied, and may be overwritten by the next request.
    const sent = isShared && !this.channel.copiesNow(stream, end) ? request.slice(0, end) : request;
    stream.send(sent, start, end, true);
  }

  protected get hasUnread(): boolean {
    return false;
  }

  get acceptsMessage(): boolean {
    return true;
  }

  protected messageReceived(
    bytes: Uint8Array,
    start: number,
    end: number,
    windowBytes: number,
    isCompressed: boolean,
  ): void {
    this.consume(windowBytes);
    if (++this.#responses > 1) {
      if (!this.#isInflating) this.#failWithMany();
    } else if (hasPassed(this.deadline)) {
      // A late response is not worth decoding. A long turn may have delayed the deadline's timer.
      this.expire();
    } else if (isCompressed) void this.#inflate(bytes.slice(start, end));
    else this.#decode(bytes, start, end);
  }

  protected concluded(error: MicroError | undefined): void {
    if (this.#isInflating) {
      this.#end = () => this.#conclude(error);
      return;
    }
    this.#conclude(error);
  }

  protected rejected(error: MicroError): void {
    this.#receiver.failed(error);
  }

  protected stopSending(): void {
    this.#request = undefined;
  }

  #conclude(error: MicroError | undefined): void {
    this.close();
    const reason = error ?? this.#responseError();
    if (reason === undefined) this.#receiver.responded(this.#response as O);
    else this.#receiver.failed(reason);
  }

  #responseError(): MicroError | undefined {
    if (this.#unreadable !== undefined) return this.#unreadable;
    if (this.#responses === 0) {
      // As Connect's client reports it.
      const isEnded = this.hadEnd || this.called.protocol.endFlag !== 0;
      const code = isEnded ? "unimplemented" : "unknown";
      return new MicroError(code, `the response of ${this.name} has no message`);
    }
    return hasPassed(this.deadline) ? deadlineExceeded(this.name) : undefined;
  }

  #encode(request: unknown): Uint8Array {
    const { input } = this.called;
    const { maxMessageBytes } = this.channel.limits;
    let bytes: Uint8Array = smallFrame;
    this.#requestBytes = frameSmall(input, request);
    if (this.#requestBytes === 0) {
      bytes = frameLarge(input, request);
      this.#requestBytes = bytes.length;
    }
    this.#request = bytes;
    const length = this.#requestBytes - prefixBytes;
    if (length > maxMessageBytes) {
      const what = `the request of ${this.name}`;
      throw messageTooLarge(what, length, maxMessageBytes, "not-executed");
    }
    return bytes;
  }

  async #deflate(compression: Compression): Promise<void> {
    const request = this.#request!.slice(prefixBytes, this.#requestBytes);
    this.#request = undefined;
    const { signal } = this.outgoing;
    try {
      const deflated = await deflationOf(this.called, compression).compress(request);
      if (this.ended) return;
      // It may have fired meanwhile.
      if (signal?.aborted === true) {
        this.aborted(signal.reason);
        return;
      }
      this.#request =
        deflated === undefined ? framed(0, request) : framed(compressedFlag, deflated);
      this.#requestBytes = this.#request.length;
      this.begin();
    } catch (reason) {
      this.fail(codecError(reason, "not-executed"));
    }
  }

  #decode(bytes: Uint8Array, start: number, end: number): void {
    const { output } = this.called;
    const { maxMessageElements } = this.channel.limits;
    try {
      this.#response = decodeMessage(output, bytes, start, end, maxMessageElements);
    } catch (reason) {
      this.#unreadable = undecodableResponse(reason, this.name);
    }
  }

  async #inflate(compressed: Uint8Array): Promise<void> {
    this.#isInflating = true;
    const inflation = new ResponseInflation(this.channel, this.called, this.encoding, () =>
      this.over(),
    );
    try {
      const bytes = await inflation.inflate(compressed);
      if (!this.ended) this.#decode(bytes, 0, bytes.length);
    } catch (reason) {
      this.notInflated(reason);
    }
    this.#isInflating = false;
    if (this.ended) return;
    if (this.#responses > 1) this.#failWithMany();
    else this.#end?.();
  }

  #failWithMany(): void {
    const text = `${this.name} is unary, and received more than one response`;
    this.fail(new MicroError("unimplemented", text));
  }
}
