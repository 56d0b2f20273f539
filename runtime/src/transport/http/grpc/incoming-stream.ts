import { MicroError } from "../../../base/error.ts";
import { GrowingBuffer } from "../../../base/growing-buffer.ts";
import { callEnded } from "../../call-errors.ts";
import type { Http2Stream } from "../../http2/stream.ts";
import { decodeMessage } from "../../native/payload.ts";
import {
  type DecodedAhead,
  ReceiveQueue,
  type ReceiveQueueOwner,
  servedDecodedAhead,
} from "../../streams/receive-queue.ts";
import { SendPump, type SendPumpTarget } from "../../streams/send-pump.ts";
import { undecodable } from "../http2-call.ts";
import { IncomingGrpcCall, wrongCount } from "./incoming-call.ts";
import { prefixBytes } from "./message-frame.ts";
import { maxSplitCost, unreadOverheadBytes } from "./message-splitter.ts";

/**
 * Turns of the event loop within which a reset follows the end of a stream. Node's client ends a
 * stream just before it resets it, and may send the two separately.
 */
const turnsToReset = 4;

/** An incoming gRPC call of a streaming kind. */
export class IncomingGrpcStream
  extends IncomingGrpcCall
  implements ReceiveQueueOwner, SendPumpTarget<unknown>
{
  readonly decodedAhead: DecodedAhead = servedDecodedAhead;
  readonly #requests: ReceiveQueue<unknown> = new ReceiveQueue<unknown>(this);
  /** The stream's windows limit what is sent, so the pump itself has no limit. */
  readonly #answers: SendPump<unknown> = new SendPump(this, Number.MAX_SAFE_INTEGER);
  #started = false;
  /** Whether the connection accepts nothing now, or a message is being compressed. */
  #blocked = false;
  #isCompressing = false;
  #count = 0;
  /** Cost of the messages that were split off and are unread. */
  #unreadCost = 0;
  /** Bytes of unread messages that were consumed while the messages were incomplete. */
  #prepaid = 0;
  /** The bytes after the messages that were split off. */
  #unsplit: GrowingBuffer | undefined;
  /** Whether the requests end after that. */
  #endWaits = false;
  #isSplitting = false;

  /**
   * Starts a call whose handler needs no request to begin. A call that takes one request begins
   * when that is known to be the only one.
   */
  start(): void {
    if (this.method.kind === "server_streaming") this.expectMessage();
    else this.#run();
  }

  protected override get needsRequest(): boolean {
    return !this.#started;
  }

  onWritable(): void {
    this.#blocked = false;
    if (!this.#isCompressing) this.#answers.resume();
  }

  decode(bytes: Uint8Array, start: number, end: number): unknown {
    try {
      const { maxMessageElements } = this.connection.limits;
      return decodeMessage(this.method.input, bytes, start, end, maxMessageElements);
    } catch (reason) {
      this.refuse(undecodable(reason, this.outcome));
      return undefined;
    }
  }

  opened(): void {}

  consumed(cost: number): void {
    this.connection.unreadCost -= cost;
    this.#unreadCost -= cost;
    const bytes = cost - unreadOverheadBytes + prefixBytes;
    const prepaid = Math.min(bytes, this.#prepaid);
    this.#prepaid -= prepaid;
    this.stream.consume(bytes - prepaid);
    if (this.#unsplit !== undefined && this.#unreadCost * 2 <= maxSplitCost)
      this.#continueSplitting();
  }

  dropped(cost: number): void {
    this.connection.unreadCost -= cost;
    this.#unreadCost -= cost;
  }

  /** A handler that stops reading does not end its call; the client's window only stays closed. */
  abandoned(): void {}

  blocked(): boolean {
    return this.#blocked || this.#isCompressing;
  }

  send(answer: unknown): number {
    const passed = this.sendMessage(answer);
    if (typeof passed === "boolean") this.#blocked = !passed;
    else {
      this.#isCompressing = true;
      void this.#continueAfter(passed);
    }
    return 0;
  }

  async #continueAfter(sent: Promise<boolean>): Promise<void> {
    try {
      const passed = await sent;
      this.#isCompressing = false;
      this.#blocked = !passed;
      if (passed) this.#answers.resume();
    } catch (reason) {
      this.fail(reason);
    }
  }

  finished(): void {
    if (this.ended) return;
    try {
      this.sendEnd();
    } catch (reason) {
      this.fail(reason);
    }
  }

  override onData(stream: Http2Stream, bytes: Uint8Array, start: number, end: number): void {
    const waits = this.#unsplit !== undefined || this.#isSplitting;
    const at = waits ? start : this.read(bytes, start, end);
    if (this.ended) stream.consume(end - at);
    else if (at < end) {
      this.#unsplit ??= new GrowingBuffer();
      this.#unsplit.append(bytes.subarray(at, end));
    }
  }

  override onEnd(): void {
    if (this.#unsplit === undefined) super.onEnd();
    else this.#endWaits = true;
  }

  protected override get acceptsMessage(): boolean {
    return this.#unreadCost < maxSplitCost;
  }

  /** Splits messages off what has arrived, now that others were read. */
  #continueSplitting(): void {
    if (this.#isSplitting) return;
    this.#isSplitting = true;
    const bytes = this.#unsplit!.take();
    this.#unsplit = undefined;
    const at = this.read(bytes, 0, bytes.length);
    this.#isSplitting = false;
    if (this.ended) return;
    if (at < bytes.length) {
      const rest = new GrowingBuffer();
      rest.append(bytes.subarray(at));
      this.#unsplit = rest;
    } else if (this.#endWaits) super.onEnd();
  }

  protected received(bytes: Uint8Array, start: number, end: number, windowBytes: number): void {
    const { connection, method } = this;
    if (method.kind === "server_streaming" && ++this.#count > 1) {
      this.refuse(wrongCount(`${method.name} takes one request, and received more`));
      return;
    }
    const cost = end - start + unreadOverheadBytes;
    connection.unreadCost += cost;
    this.#unreadCost += cost;
    if (windowBytes === 0) this.#prepaid += end - start + prefixBytes;
    if (connection.unreadCost > connection.maxUnreadCost) {
      this.dropped(cost);
      this.refuse(
        new MicroError(
          "resource_exhausted",
          `${method.name} was ended because the connection of ${this.peer.address} has ${connection.maxUnreadCost} bytes of stream messages that no handler has read`,
          { outcome: this.outcome },
        ),
      );
      return;
    }
    if (this.#requests.ended) this.dropped(cost);
    else this.#requests.receive(bytes, start, end, cost);
  }

  protected requestsEnded(): void {
    if (this.#started) {
      this.#endAfter(turnsToReset);
    } else if (this.#count === 0) {
      this.refuse(wrongCount(`${this.method.name} takes a request, and received none`));
    } else {
      this.#requests.end();
      this.#run();
    }
  }

  /** Reports the end of the requests, unless the call is reset within a few turns. */
  #endAfter(turns: number): void {
    if (this.ended) return;
    if (turns === 0) this.#requests.end();
    else setImmediate(() => this.#endAfter(turns - 1));
  }

  protected override finish(reason?: MicroError): void {
    this.ended = true;
    this.#unsplit = undefined;
    this.#answers.stop();
    this.#requests.abort(reason ?? (() => callEnded(this.method.name)));
    super.finish(reason);
  }

  #run(): void {
    if (this.#started) return;
    this.#started = true;
    this.expectNothing();
    try {
      this.#answers.start(this.connection.dispatcher.stream(this, this.#requests));
    } catch (reason) {
      this.fail(reason);
    }
  }
}
