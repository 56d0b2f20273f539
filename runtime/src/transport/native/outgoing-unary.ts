import { unwatchAbort } from "../../abort-watch.ts";
import { deadlineExceeded } from "../../call.ts";
import type { Deadline } from "../../deadline.ts";
import { MicroError, type Outcome } from "../../error.ts";
import type { AnyMethod } from "../../method.ts";
import { cancelledBy, connectionLost, undecodableAnswer } from "../call-errors.ts";
import type { OutgoingCall, UnaryReceiver } from "../transport.ts";
import type { OutgoingCalls, PendingCall } from "./outgoing-call.ts";
import { decodeMessage } from "./payload.ts";

/** A unary call that was sent. */
export class OutgoingUnary<O> implements PendingCall {
  readonly id: number;
  readonly method: AnyMethod;
  readonly outgoing: OutgoingCall;
  watchPlace = 0;
  readonly #connection: OutgoingCalls;
  /** {@link FrameWriter.flushes} before the call was written. */
  readonly #epoch: number;
  readonly #receiver: UnaryReceiver<O>;

  constructor(
    connection: OutgoingCalls,
    id: number,
    epoch: number,
    method: AnyMethod,
    outgoing: OutgoingCall,
    receiver: UnaryReceiver<O>,
  ) {
    this.#connection = connection;
    this.id = id;
    this.#epoch = epoch;
    this.method = method;
    this.outgoing = outgoing;
    this.#receiver = receiver;
  }

  get deadline(): Deadline {
    return this.outgoing.deadline;
  }

  received(): void {
    throw new MicroError(
      "invalid_argument",
      `received a stream message for ${this.method.name}, a unary call`,
    );
  }

  granted(): void {}

  succeeded(bytes: Uint8Array | undefined, start: number, end: number): void {
    this.#close();
    if (bytes === undefined) {
      this.#receiver.failed(undecodableAnswer("it has no message", this.method.name));
      return;
    }
    let answer: O;
    try {
      answer = decodeMessage(this.method.output, bytes, start, end) as O;
    } catch (reason) {
      this.#receiver.failed(undecodableAnswer(reason, this.method.name));
      return;
    }
    this.#receiver.answered(answer);
  }

  refused(error: MicroError): void {
    this.#close();
    this.#receiver.failed(error);
  }

  aborted(reason: unknown): void {
    this.cancel(cancelledBy(reason, this.method.name, "unknown"));
  }

  expire(): void {
    this.cancel(deadlineExceeded(this.method.name));
  }

  cancel(error: MicroError): void {
    this.#connection.writeCancel(this.id, error);
    this.#close();
    this.#receiver.failed(error);
  }

  lost(reason: MicroError): void {
    const outcome: Outcome = this.#connection.hasLeft(this.#epoch) ? "unknown" : "not-executed";
    this.#close();
    this.#receiver.failed(connectionLost(this.method.name, reason, outcome));
  }

  #close(): void {
    if (this.outgoing.signal !== undefined) unwatchAbort(this.outgoing.signal, this);
    this.#connection.remove(this);
  }
}
