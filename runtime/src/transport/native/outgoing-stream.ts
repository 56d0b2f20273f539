import { unwatchAbort, watchAbort } from "../../base/abort-watch.ts";
import { type Deadline, hasPassed } from "../../base/deadline.ts";
import { asMicroError, MicroError, type Outcome } from "../../base/error.ts";
import { deadlineExceeded } from "../../call/call.ts";
import type { AnyMethod } from "../../call/method.ts";
import {
  cancelledBy,
  connectionLost,
  messageTooLarge,
  undecodableResponse,
} from "../call-errors.ts";
import {
  type DecodedAhead,
  messageOverheadBytes,
  ReceiveQueue,
  type ReceiveQueueOwner,
} from "../streams/receive-queue.ts";
import { SendPump, type SendPumpTarget } from "../streams/send-pump.ts";
import type { OutgoingCall } from "../transport.ts";
import type { OutgoingCalls, PendingCall } from "./outgoing-call.ts";
import { decodeMessage } from "./payload.ts";
import { flag, frameType } from "./protocol.ts";

/** An outgoing streaming call. It begins when its first response is requested. */
export class OutgoingStream<O> implements PendingCall, ReceiveQueueOwner, SendPumpTarget<unknown> {
  id = 0;
  readonly method: AnyMethod;
  readonly outgoing: OutgoingCall;
  readonly deadline: Deadline;
  /** The responses that the caller iterates. */
  readonly responses: ReceiveQueue<O>;
  readonly decodedAhead: DecodedAhead;
  readonly #connection: OutgoingCalls;
  readonly #source: AsyncIterable<unknown> | Iterable<unknown>;
  #requests: SendPump<unknown> | undefined;
  #epoch = 0;
  #state: "new" | "open" | "ended" = "new";
  /** How much the server has granted, in bytes. */
  #credit = 0;
  /** Cost of responses that were read and for which no credit has been granted again yet. */
  #owed = 0;

  constructor(
    connection: OutgoingCalls,
    method: AnyMethod,
    source: AsyncIterable<unknown> | Iterable<unknown>,
    outgoing: OutgoingCall,
  ) {
    this.#connection = connection;
    this.method = method;
    this.#source = source;
    this.outgoing = outgoing;
    this.deadline = outgoing.deadline;
    this.decodedAhead = connection.decodedAhead;
    this.responses = new ReceiveQueue<O>(this);
  }

  opened(): void {
    const connection = this.#connection;
    const { writer } = connection;
    const only = onlyRequest(this.#source);
    const requests = new SendPump<unknown>(this, connection.peerSettings.streamWindowBytes);
    try {
      this.#epoch = writer.flushes;
      this.id = connection.beginCall(
        this.method,
        this.outgoing,
        only === undefined ? flag.stream : flag.stream | flag.message | flag.end,
      );
      if (only === undefined) writer.close();
      else connection.writeMessage(this.method, only[0], "not-executed");
    } catch (error) {
      this.#state = "ended";
      this.responses.end(error as MicroError);
      return;
    }
    this.#state = "open";
    this.#credit = connection.limits.streamWindowBytes;
    connection.add(this);
    if (this.outgoing.signal !== undefined) watchAbort(this.outgoing.signal, this);
    if (only !== undefined) return;
    this.#requests = requests;
    requests.start(this.#source);
  }

  consumed(cost: number): void {
    const connection = this.#connection;
    connection.unreadBytes -= cost;
    if (this.#state !== "open") return;
    this.#owed += cost;
    if (this.#owed * 2 < connection.limits.streamWindowBytes) return;
    this.#credit += this.#owed;
    connection.writer.bare(frameType.credit, 0, this.id, this.#owed);
    this.#owed = 0;
  }

  dropped(cost: number): void {
    this.#connection.unreadBytes -= cost;
  }

  abandoned(): void {
    if (this.#state === "new") this.#state = "ended";
    else this.aborted(undefined);
  }

  blocked(): boolean {
    return this.#connection.waitForDrain(this.#requests!);
  }

  send(request: unknown): number {
    this.#connection.writer.open(frameType.message, 0, 0, this.id, 0);
    return this.#connection.writeMessage(this.method, request, "unknown") + messageOverheadBytes;
  }

  finished(): void {
    if (this.#state === "open") this.#connection.writer.bare(frameType.end, 0, this.id, 0);
  }

  received(bytes: Uint8Array, start: number, end: number): void {
    const connection = this.#connection;
    if (this.#credit <= 0) {
      throw new MicroError(
        "resource_exhausted",
        `received a message of ${this.method.name} beyond the credit that was given`,
      );
    }
    const length = end - start;
    const cost = length + messageOverheadBytes;
    this.#credit -= cost;
    const { maxMessageBytes } = connection.limits;
    if (length > maxMessageBytes) {
      this.cancel(
        messageTooLarge(`a response of ${this.method.name}`, length, maxMessageBytes, "unknown"),
      );
      return;
    }
    connection.unreadBytes += cost;
    if (connection.unreadBytes > connection.maxUnreadBytes) {
      connection.unreadBytes -= cost;
      this.cancel(connection.tooMuchUnread(this.method.name));
      return;
    }
    this.responses.receive(bytes, start, end, cost);
  }

  decode(bytes: Uint8Array, start: number, end: number): unknown {
    // Many messages in one turn, or one slow message, keep the deadline's timer from firing.
    if (this.#state === "open" && hasPassed(this.deadline)) {
      this.#failDecoding(deadlineExceeded(this.method.name));
      return undefined;
    }
    try {
      return decodeMessage(
        this.method.output,
        bytes,
        start,
        end,
        this.#connection.limits.maxMessageElements,
      );
    } catch (reason) {
      this.#failDecoding(undecodableResponse(reason, this.method.name));
      return undefined;
    }
  }

  granted(bytes: number): void {
    this.#requests?.grant(bytes);
  }

  succeeded(): void {
    this.#close();
    this.responses.end();
  }

  refused(error: MicroError): void {
    this.#close();
    this.responses.end(error);
  }

  /** Called when the requests threw. */
  failed(reason: unknown): void {
    this.cancel(asMicroError(reason));
  }

  aborted(reason: unknown): void {
    if (this.#state !== "open") return;
    this.cancel(cancelledBy(reason, this.method.name, "unknown"));
  }

  expire(): void {
    this.cancel(deadlineExceeded(this.method.name));
  }

  cancel(error: MicroError): void {
    if (this.#state !== "open") return;
    this.#connection.writeCancel(this.id, error);
    this.#close();
    this.responses.abort(error);
  }

  lost(reason: MicroError): void {
    const outcome: Outcome = this.#connection.hasLeft(this.#epoch) ? "unknown" : "not-executed";
    this.#close();
    this.responses.end(connectionLost(this.method.name, reason, outcome));
  }

  /** Fails the responses, even if the call itself has ended and they are still unread. */
  #failDecoding(error: MicroError): void {
    if (this.#state === "open") this.cancel(error);
    else this.responses.abort(error);
  }

  #close(): void {
    this.#state = "ended";
    this.#requests?.stop();
    if (this.outgoing.signal !== undefined) unwatchAbort(this.outgoing.signal, this);
    this.#connection.remove(this);
  }
}

/**
 * Returns the single request of a call that has one available immediately, as in a server-streaming
 * method. It is sent with CALL.
 */
function onlyRequest(
  source: AsyncIterable<unknown> | Iterable<unknown>,
): readonly unknown[] | undefined {
  return Array.isArray(source) && source.length === 1 ? source : undefined;
}
