import { hasPassed } from "../../../base/deadline.ts";
import { asMicroError, MicroError } from "../../../base/error.ts";
import { codecError, messageTooLarge, undecodableResponse } from "../../call-errors.ts";
import { decodeMessage } from "../../native/payload.ts";
import {
  type DecodedAhead,
  ReceiveQueue,
  type ReceiveQueueOwner,
} from "../../streams/receive-queue.ts";
import { SendPump, type SendPumpTarget } from "../../streams/send-pump.ts";
import type { OutgoingCall } from "../../transport.ts";
import type { Compression } from "../compression/algorithms.ts";
import type { CallDeflation } from "../compression/messages.ts";
import {
  compressedFlag,
  framed,
  frameLarge,
  frameSmall,
  prefixBytes,
  smallFrame,
} from "../enveloped/message-frame.ts";
import { maxSplitCost, unreadOverheadBytes } from "../enveloped/message-splitter.ts";
import { OutgoingHttpCall } from "./outgoing-call.ts";
import type { OutgoingCalls } from "./outgoing-calls.ts";
import { deflationOf, type OutgoingMethod } from "./outgoing-methods.ts";
import { PendingResponses } from "./pending-responses.ts";
import type { InflationLimits } from "./response-inflation.ts";

const noBytes = new Uint8Array(0);

/** An outgoing call of a streaming kind. It begins when its first response is requested. */
export class OutgoingStream<O>
  extends OutgoingHttpCall
  implements ReceiveQueueOwner, SendPumpTarget<unknown>
{
  /** The responses that the caller iterates. */
  readonly responses: ReceiveQueue<O>;
  readonly #source: AsyncIterable<unknown> | Iterable<unknown>;
  /** The stream's windows limit what is sent, so the pump itself has no limit. */
  #requests: SendPump<unknown> | undefined = undefined;
  #compression: Compression | undefined = undefined;
  #deflation: CallDeflation | undefined = undefined;
  /** Whether the connection accepts nothing now, or a message is being compressed. */
  #isBlocked = false;
  #isDeflating = false;
  /** Messages that wait in {@link responses}, and their cost. */
  #unread = 0;
  #unreadCost = 0;
  /** Bytes of them that were consumed before the messages were read. */
  #prepaid = 0;
  /** Compressed messages, and those after them. */
  #pending: PendingResponses | undefined = undefined;

  constructor(
    channel: OutgoingCalls,
    called: OutgoingMethod,
    source: AsyncIterable<unknown> | Iterable<unknown>,
    outgoing: OutgoingCall,
  ) {
    super(channel, called, outgoing);
    this.#source = source;
    this.responses = new ReceiveQueue<O>(this);
  }

  get decodedAhead(): DecodedAhead {
    return this.channel.decodedAhead;
  }

  opened(): void {
    const { channel, outgoing } = this;
    try {
      const refused = channel.refusal(this.called, outgoing);
      if (refused !== undefined) throw refused;
      outgoing.metadata?.encode();
    } catch (reason) {
      this.ended = true;
      this.responses.end(codecError(reason, "not-executed"));
      return;
    }
    if (outgoing.compress !== false) this.#compression = channel.compression;
    channel.add(this);
    this.begin();
  }

  open(): void {
    const source = this.#source;
    const only = onlyRequest(source);
    try {
      this.openStream(this.#compression);
      if (only !== undefined) this.#sendMessage(only[0], true);
    } catch (reason) {
      this.fail(codecError(reason, this.outcome));
      return;
    }
    if (only !== undefined) return;
    this.#requests = new SendPump<unknown>(this, Number.MAX_SAFE_INTEGER);
    this.#requests.start(source);
  }

  onWritable(): void {
    this.#isBlocked = false;
    if (!this.#isDeflating) this.#requests?.resume();
  }

  blocked(): boolean {
    return this.#isBlocked || this.#isDeflating;
  }

  send(request: unknown): number {
    this.#sendMessage(request, false);
    return 0;
  }

  #sendMessage(request: unknown, isLast: boolean): void {
    const { input } = this.called;
    const { limits, compressMinBytes } = this.channel;
    const stream = this.stream!;
    const compression = this.#compressionOfNext();
    let bytes: Uint8Array = smallFrame;
    let length: number;
    try {
      length = frameSmall(input, request);
      if (length === 0) {
        bytes = frameLarge(input, request);
        length = bytes.length;
      }
    } catch (reason) {
      throw codecError(reason, "unknown");
    }
    if (length - prefixBytes > limits.maxMessageBytes) {
      const what = `a request of ${this.name}`;
      throw messageTooLarge(what, length - prefixBytes, limits.maxMessageBytes, "unknown");
    }
    if (compression !== undefined && length - prefixBytes >= compressMinBytes) {
      void this.#sendCompressed(bytes.slice(prefixBytes, length), compression, isLast);
      return;
    }
    // Only what is sent at once is copied, and may be overwritten by the next message.
    if (bytes === smallFrame && !this.channel.copiesNow(stream, length))
      bytes = bytes.slice(0, length);
    this.#isBlocked = !stream.send(bytes, 0, length, isLast);
  }

  finished(): void {
    if (!this.ended) this.stream!.send(noBytes, 0, 0, true);
  }

  /** Called when the source of requests threw. */
  failed(reason: unknown): void {
    this.cancel(asMicroError(reason));
  }

  consumed(cost: number): void {
    this.channel.unreadCost -= cost;
    this.#unreadCost -= cost;
    this.#unread--;
    const bytes = cost - unreadOverheadBytes + prefixBytes;
    const prepaid = Math.min(bytes, this.#prepaid);
    this.#prepaid -= prepaid;
    this.consume(bytes - prepaid);
    if (this.#unread === 0 && !this.ended) this.readOn();
    this.#pending?.resume();
    if (this.#unreadCost * 2 <= maxSplitCost) this.splitter.splitOn();
  }

  dropped(cost: number): void {
    this.channel.unreadCost -= cost;
    this.#unreadCost -= cost;
  }

  abandoned(): void {
    if (this.place < 0) this.ended = true;
    else this.aborted(undefined);
  }

  decode(bytes: Uint8Array, start: number, end: number): unknown {
    const { name } = this;
    // Many messages in one turn, or one slow message, keep the deadline's timer from firing.
    if (!this.ended && hasPassed(this.deadline)) {
      this.expire();
      return undefined;
    }
    const { maxMessageElements } = this.channel.limits;
    try {
      return decodeMessage(this.called.output, bytes, start, end, maxMessageElements);
    } catch (reason) {
      const error = undecodableResponse(reason, name);
      // The call itself may have ended, while the message was unread.
      if (this.ended) this.responses.abort(error);
      else this.cancel(error);
      return undefined;
    }
  }

  protected get hasUnread(): boolean {
    return this.#unread > 0 || this.#pending?.isEmpty === false;
  }

  get acceptsMessage(): boolean {
    return this.#unreadCost + (this.#pending?.cost ?? 0) < maxSplitCost;
  }

  protected messageReceived(
    bytes: Uint8Array,
    start: number,
    end: number,
    windowBytes: number,
    isCompressed: boolean,
  ): void {
    if (isCompressed) this.#pending ??= new PendingResponses(this, this.encoding);
    if (this.#pending === undefined) this.deliver(bytes, start, end, windowBytes);
    else this.#pending.add(bytes.subarray(start, end), windowBytes, isCompressed);
  }

  /** Passes a message on to the reader. */
  deliver(bytes: Uint8Array, start: number, end: number, windowBytes: number): void {
    const { channel } = this;
    const cost = end - start + unreadOverheadBytes;
    if (channel.unreadCost + cost > channel.maxUnreadCost) {
      const text = `${this.name} was ended because the channel has ${channel.maxUnreadCost} bytes of unread stream messages`;
      this.cancel(new MicroError("resource_exhausted", text));
      return;
    }
    channel.unreadCost += cost;
    this.#unreadCost += cost;
    this.#unread++;
    this.#prepaid += end - start + prefixBytes - windowBytes;
    this.responses.receive(bytes, start, end, cost);
  }

  /** Whether the reader has so much to read that no more should be inflated. */
  get isAhead(): boolean {
    return this.#unreadCost >= this.channel.limits.streamWindowBytes;
  }

  /** The limits of what is inflated. */
  get inflation(): InflationLimits {
    return this.channel;
  }

  protected concluded(error: MicroError | undefined): void {
    const end = () => {
      this.close();
      this.responses.end(error);
    };
    if (this.#pending === undefined) end();
    else this.#pending.whenEmpty(end);
  }

  protected override close(): void {
    super.close();
    this.#pending?.clear();
  }

  protected rejected(error: MicroError, discards: boolean): void {
    if (discards) this.responses.abort(error);
    else this.responses.end(error);
  }

  protected stopSending(): void {
    this.#requests?.stop();
  }

  #compressionOfNext(): Compression | undefined {
    const { compress } = this.outgoing;
    const isWanted = typeof compress === "function" ? compress() : true;
    return isWanted ? this.#compression : undefined;
  }

  async #sendCompressed(
    message: Uint8Array,
    compression: Compression,
    isLast: boolean,
  ): Promise<void> {
    this.#isDeflating = true;
    this.#deflation ??= deflationOf(this.called, compression);
    try {
      const deflated = await this.#deflation.compress(message);
      this.#isDeflating = false;
      if (this.ended) return;
      const bytes = deflated === undefined ? framed(0, message) : framed(compressedFlag, deflated);
      this.#isBlocked = !this.stream!.send(bytes, 0, bytes.length, isLast);
      if (!this.#isBlocked) this.#requests?.resume();
    } catch (reason) {
      this.cancel(asMicroError(reason));
    }
  }
}

/**
 * Returns the single request of a call that has one available immediately, as in a server-streaming
 * method. It ends the stream.
 */
function onlyRequest(
  source: AsyncIterable<unknown> | Iterable<unknown>,
): readonly unknown[] | undefined {
  return Array.isArray(source) && source.length === 1 ? source : undefined;
}
