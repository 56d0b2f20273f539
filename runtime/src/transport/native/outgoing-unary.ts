import { unwatchAbort } from "../../base/abort-watch.ts";
import { type Deadline, hasPassed } from "../../base/deadline.ts";
import { MicroError, type Outcome } from "../../base/error.ts";
import { deadlineExceeded } from "../../call/call.ts";
import type { AnyMethod } from "../../call/method.ts";
import { cancelledBy, connectionLost, undecodableResponse } from "../call-errors.ts";
import type { OutgoingCall, UnaryReceiver } from "../transport.ts";
import type { OutgoingCalls, PendingCall } from "./outgoing-call.ts";
import { decodeMessage } from "./payload.ts";

/** An outgoing unary call. */
export class OutgoingUnary<O> implements PendingCall {
  readonly id: number;
  readonly method: AnyMethod;
  readonly outgoing: OutgoingCall;
  watchPlace = 0;
  readonly #connection: OutgoingCalls;
  /** The value of {@link FrameWriter.flushes} before the call was written. */
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
      this.#receiver.failed(undecodableResponse("it has no message", this.method.name));
      return;
    }
    // A late response is not worth decoding. A long turn may have delayed the deadline's timer.
    if (hasPassed(this.deadline)) {
      this.#receiver.failed(deadlineExceeded(this.method.name));
      return;
    }
    let response: O;
    try {
      response = decodeMessage(
        this.method.output,
        bytes,
        start,
        end,
        this.#connection.limits.maxMessageElements,
      ) as O;
    } catch (reason) {
      this.#receiver.failed(undecodableResponse(reason, this.method.name));
      return;
    }
    this.#receiver.responded(response);
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
