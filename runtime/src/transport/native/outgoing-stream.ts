import { unwatchAbort, watchAbort } from "../../abort-watch.ts";
import { deadlineExceeded } from "../../call.ts";
import type { Deadline } from "../../deadline.ts";
import { asMicroError, MicroError, type Outcome } from "../../error.ts";
import type { AnyMethod } from "../../method.ts";
import { cancelledBy, connectionLost, messageTooLarge, undecodableAnswer } from "../call-errors.ts";
import { Inbox, type InboxOwner, messageOverheadBytes } from "../inbox.ts";
import { Pump, type PumpTarget } from "../pump.ts";
import type { OutgoingCall } from "../transport.ts";
import type { OutgoingCalls, PendingCall } from "./outgoing-call.ts";
import { decodeMessage } from "./payload.ts";
import { flag, frameType } from "./protocol.ts";

/** A call of a streaming kind. It begins when its answers are first asked for. */
export class OutgoingStream<O> implements PendingCall, InboxOwner, PumpTarget<unknown> {
  id = 0;
  readonly method: AnyMethod;
  readonly outgoing: OutgoingCall;
  readonly deadline: Deadline;
  /** What the caller iterates. */
  readonly answers: Inbox<O>;
  readonly #connection: OutgoingCalls;
  readonly #source: AsyncIterable<unknown> | Iterable<unknown>;
  #requests: Pump<unknown> | undefined;
  #epoch = 0;
  #state: "new" | "open" | "ended" = "new";
  /** What the server may still send, in bytes. */
  #credit = 0;
  /** Cost of answers that were read and not granted again. */
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
    this.answers = new Inbox<O>(this);
  }

  opened(): void {
    const connection = this.#connection;
    const { writer } = connection;
    const only = onlyRequest(this.#source);
    const requests = new Pump<unknown>(this, connection.peerSettings.streamWindowBytes);
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
      this.answers.end(error as MicroError);
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
        messageTooLarge(`an answer of ${this.method.name}`, length, maxMessageBytes, "unknown"),
      );
      return;
    }
    let answer: O;
    try {
      answer = decodeMessage(this.method.output, bytes, start, end) as O;
    } catch (reason) {
      this.cancel(undecodableAnswer(reason, this.method.name));
      return;
    }
    connection.unreadBytes += cost;
    if (connection.unreadBytes > connection.maxUnreadBytes) {
      connection.unreadBytes -= cost;
      this.cancel(connection.tooMuchUnread(this.method.name));
      return;
    }
    this.answers.push(answer, cost);
  }

  granted(bytes: number): void {
    this.#requests?.grant(bytes);
  }

  succeeded(): void {
    this.#close();
    this.answers.end();
  }

  refused(error: MicroError): void {
    this.#close();
    this.answers.end(error);
  }

  /** The requests threw. */
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
    this.answers.abort(error);
  }

  lost(reason: MicroError): void {
    const outcome: Outcome = this.#connection.hasLeft(this.#epoch) ? "unknown" : "not-executed";
    this.#close();
    this.answers.end(connectionLost(this.method.name, reason, outcome));
  }

  #close(): void {
    this.#state = "ended";
    this.#requests?.stop();
    if (this.outgoing.signal !== undefined) unwatchAbort(this.outgoing.signal, this);
    this.#connection.remove(this);
  }
}

/** The request of a call that has one and has it at hand, as of a server-streaming method: it goes with CALL. */
function onlyRequest(
  source: AsyncIterable<unknown> | Iterable<unknown>,
): readonly unknown[] | undefined {
  return Array.isArray(source) && source.length === 1 ? source : undefined;
}
