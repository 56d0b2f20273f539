import type { Deadline } from "../../base/deadline.ts";
import type { MicroError } from "../../base/error.ts";
import { GrowingBuffer } from "../../base/growing-buffer.ts";
import type { Identity } from "../../call/account.ts";
import { deadlineExceeded } from "../../call/call.ts";
import { codecError } from "../call-errors.ts";
import type { ResetBy } from "../http2/stream.ts";
import type { AdmissionReceiver } from "../pending-admissions.ts";
import type { CallStream, CallStreamHandler } from "./call-stream.ts";
import type { IncomingCall } from "./incoming-call.ts";

/**
 * Takes the place of a call at its stream until its caller is verified. It holds what arrives, as
 * bytes that count as those of an incomplete request; the window of the stream limits them.
 */
export class WaitingCall implements CallStreamHandler, AdmissionReceiver {
  readonly #call: IncomingCall;
  readonly #admitted: (identity: Identity | undefined) => void;
  readonly #received = new GrowingBuffer();
  #heldBytes = 0;
  #hasEnded: boolean;
  #stopWaiting: (() => void) | undefined;

  /**
   * @param hasEnded whether the request has no body
   * @param admitted begins the call
   */
  constructor(
    call: IncomingCall,
    hasEnded: boolean,
    admitted: (identity: Identity | undefined) => void,
  ) {
    this.#call = call;
    this.#hasEnded = hasEnded;
    this.#admitted = admitted;
    call.stream.handler = this;
  }

  /** @param stopWaiting is called if the call ends before */
  wait(stopWaiting: () => void): void {
    this.#stopWaiting = stopWaiting;
  }

  admitted(identity: Identity | undefined): void {
    this.#passOn(() => this.#admitted(identity));
  }

  refused(error: MicroError): void {
    this.#passOn(() => this.#call.refuseUnread(error, true));
  }

  onHead(): void {
    // Only responses have a header here.
  }

  onData(_stream: CallStream, bytes: Uint8Array, start: number, end: number): void {
    const call = this.#call;
    const growth = this.#received.growthFor(end - start);
    const full = call.ended ? undefined : call.connection.holdIncomplete(growth);
    if (call.ended || full !== undefined) {
      call.stream.consume(end - start);
      if (full !== undefined) this.#end(codecError(full, "not-executed"));
      return;
    }
    this.#heldBytes += growth;
    this.#received.append(bytes.subarray(start, end));
  }

  onEnd(): void {
    this.#hasEnded = true;
  }

  onReset(stream: CallStream, code: number, by: ResetBy): void {
    this.#stop();
    this.#call.onReset(stream, code, by);
  }

  onWritable(): void {
    // Nothing is sent yet.
  }

  onDue(stream: CallStream, now: Deadline): void {
    const { deadline, ended, method } = this.#call;
    if (ended) return;
    if (deadline <= now) this.#end(deadlineExceeded(method.name, "not-executed"));
    else stream.wakeAt(deadline);
  }

  onClosed(): void {
    this.#stop();
    this.#call.onClosed();
  }

  #end(error: MicroError): void {
    this.#passOn(() => this.#call.refuse(error));
  }

  /** Gives the stream to the call, which does nothing else if it has ended. */
  #passOn(begin: () => void): void {
    const call = this.#call;
    const { stream } = call;
    const received = this.#stop();
    if (stream.closed) return;
    stream.handler = call;
    if (!call.ended) begin();
    if (received.length > 0) call.onData(stream, received, 0, received.length);
    if (this.#hasEnded) call.onEnd();
  }

  #stop(): Uint8Array {
    this.#stopWaiting?.();
    this.#stopWaiting = undefined;
    if (this.#heldBytes > 0) this.#call.connection.holdIncomplete(-this.#heldBytes);
    this.#heldBytes = 0;
    const { buffer, byteOffset, length } = this.#received.take();
    return new Uint8Array(buffer, byteOffset, length);
  }
}
