import { MicroError } from "../../../base/error.ts";
import { callEnded, codecError } from "../../call-errors.ts";
import {
  type DecodedAhead,
  ReceiveQueue,
  type ReceiveQueueOwner,
  servedDecodedAhead,
} from "../../streams/receive-queue.ts";
import { SendPump, type SendPumpTarget } from "../../streams/send-pump.ts";
import { requestCompressed } from "../compression/keys.ts";
import { PendingMessages, type PendingMessagesOwner } from "../compression/pending-messages.ts";
import { IncomingEnvelopedCall, wrongCount } from "./incoming-call.ts";
import { prefixBytes } from "./message-frame.ts";
import { maxSplitCost, unreadOverheadBytes } from "./message-splitter.ts";

/**
 * Turns of the event loop within which a reset follows the end of a stream. Node's client ends a
 * stream just before it resets it, and may send the two separately.
 */
const turnsToReset = 4;

/** An incoming call of a streaming kind. */
export class IncomingEnvelopedStream
  extends IncomingEnvelopedCall
  implements ReceiveQueueOwner, PendingMessagesOwner, SendPumpTarget<unknown>
{
  readonly decodedAhead: DecodedAhead = servedDecodedAhead;
  readonly #requests: ReceiveQueue<unknown> = new ReceiveQueue<unknown>(this);
  /** The stream's windows limit what is sent, so the pump itself has no limit. */
  readonly #responses: SendPump<unknown> = new SendPump(this, Number.MAX_SAFE_INTEGER);
  #started = false;
  /** Whether the connection accepts nothing now, or a message is being compressed. */
  #blocked = false;
  #isCompressing = false;
  #count = 0;
  /** Cost of the messages that were passed on and are unread. */
  #unreadCost = 0;
  /** Bytes of unread messages that were consumed while the messages were incomplete. */
  #prepaid = 0;
  /** Compressed messages and those after them, and the cost of them that is counted. */
  #pending: PendingMessages | undefined;
  #pendingCost = 0;
  /** Whether each unread message arrived compressed, if any may. */
  readonly #wereCompressed: boolean[] = [];
  /** Whether the message that is passed on now follows others that are unread. */
  #isBehind = false;

  /**
   * Starts a call whose handler needs no request to begin. A call that takes one request begins
   * when that is known to be the only one; go-micro's clients do not say so.
   */
  start(): void {
    const takesOne = this.method.kind === "server_streaming" && !this.header.isGoMicro;
    if (takesOne) this.expectMessage();
    else this.#run();
  }

  protected override get needsRequest(): boolean {
    return !this.#started;
  }

  onWritable(): void {
    this.#blocked = false;
    if (!this.#isCompressing) this.#responses.resume();
  }

  decode(bytes: Uint8Array, start: number, end: number): unknown {
    return this.decodeRequest(bytes, start, end);
  }

  opened(): void {}

  consumed(cost: number): void {
    this.connection.unreadCost -= cost;
    this.#unreadCost -= cost;
    const bytes = cost - unreadOverheadBytes + prefixBytes;
    const prepaid = Math.min(bytes, this.#prepaid);
    this.#prepaid -= prepaid;
    this.stream.consume(bytes - prepaid);
    this.#markCompressed();
    this.#pending?.resume();
    if (this.#waitingCost * 2 <= maxSplitCost) this.splitter.splitOn();
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

  send(response: unknown): number {
    const passed = this.sendMessage(response);
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
      if (passed) this.#responses.resume();
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

  override get acceptsMessage(): boolean {
    return this.#waitingCost < maxSplitCost;
  }

  /** Cost of the messages that were split off and that the handler has not read. */
  get #waitingCost(): number {
    return this.#unreadCost + this.#pendingCost;
  }

  protected messageReceived(
    bytes: Uint8Array,
    start: number,
    end: number,
    windowBytes: number,
    isCompressed: boolean,
  ): void {
    const { method, header } = this;
    if (method.kind === "server_streaming" && ++this.#count > 1) {
      this.refuse(wrongCount(`${method.name} takes one request, and received more`));
      return;
    }
    if (isCompressed) this.#pending ??= new PendingMessages(this, this.inflation(header.coding!));
    if (this.#pending === undefined) this.deliver(bytes, start, end, windowBytes, false);
    else {
      // A copy, because what waits must not keep a chunk that is larger than itself.
      const own = new Uint8Array(bytes.subarray(start, end));
      this.#pending.add(own, windowBytes, isCompressed);
      this.#countPending();
      this.#limitUnread();
    }
  }

  /** Passes a message on to the handler. */
  deliver(
    bytes: Uint8Array,
    start: number,
    end: number,
    windowBytes: number,
    wasCompressed: boolean,
  ): void {
    this.#countPending();
    this.#isBehind = this.#unreadCost > 0;
    const cost = end - start + unreadOverheadBytes;
    this.connection.unreadCost += cost;
    this.#unreadCost += cost;
    this.#prepaid += end - start + prefixBytes - windowBytes;
    if (this.#limitUnread()) this.dropped(cost);
    else if (this.#requests.ended) this.dropped(cost);
    else {
      if (this.header.coding !== undefined) this.#wereCompressed.push(wasCompressed);
      this.#requests.receive(bytes, start, end, cost);
    }
    this.#isBehind = false;
  }

  /** Whether the handler reads no more, or has so much to read that no more should be inflated. */
  get isAhead(): boolean {
    return this.#requests.ended || this.#unreadCost >= maxSplitCost;
  }

  /** Ends the call because a message cannot be inflated. */
  notInflated(reason: unknown): void {
    this.#isBehind = this.#unreadCost > 0;
    this.unreadable(codecError(reason, this.outcome));
    this.#isBehind = false;
  }

  /** A handler reads the messages before one that cannot be read first. */
  protected override unreadable(error: MicroError): void {
    if (this.#isBehind) this.#requests.end(error);
    else super.unreadable(error);
  }

  /** Counts what waits to be inflated as unread. */
  #countPending(): void {
    const cost = this.#pending?.cost ?? 0;
    this.connection.unreadCost += cost - this.#pendingCost;
    this.#pendingCost = cost;
  }

  /** Ends the call, and returns true, if the connection has too much that is unread. */
  #limitUnread(): boolean {
    const { connection, method } = this;
    if (connection.unreadCost <= connection.maxUnreadCost) return false;
    this.refuse(
      new MicroError(
        "resource_exhausted",
        `${method.name} was ended because the connection of ${this.peer.address} has ${connection.maxUnreadCost} bytes of stream messages that no handler has read`,
        { outcome: this.outcome },
      ),
    );
    return true;
  }

  /** Tells the handler whether the message that it reads now arrived compressed. */
  #markCompressed(): void {
    const wasCompressed = this.#wereCompressed.shift();
    if (wasCompressed === undefined || wasCompressed === this.get(requestCompressed)) return;
    this.set(requestCompressed, wasCompressed);
  }

  protected requestsEnded(): void {
    if (!this.#started && this.#count === 0) {
      this.refuse(wrongCount(`${this.method.name} takes a request, and received none`));
    } else if (this.#pending === undefined) this.#endRequests();
    else {
      this.expectNothing();
      this.#pending.whenEmpty(() => this.#endRequests());
    }
  }

  #endRequests(): void {
    if (this.#started) this.#endAfter(turnsToReset);
    else {
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
    this.#pending?.clear();
    this.#countPending();
    this.#responses.stop();
    this.#requests.abort(reason ?? (() => callEnded(this.method.name)));
    super.finish(reason);
  }

  #run(): void {
    if (this.#started) return;
    this.#started = true;
    this.expectNothing();
    try {
      this.#responses.start(this.connection.dispatcher.stream(this, this.#requests));
    } catch (reason) {
      this.fail(reason);
    }
  }
}
