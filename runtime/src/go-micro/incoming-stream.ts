import type { MicroError } from "../base/error.ts";
import { callEnded, codecError, messageTooLarge } from "../transport/call-errors.ts";
import {
  type DecodedAhead,
  messageOverheadBytes,
  ReceiveQueue,
  type ReceiveQueueOwner,
  servedDecodedAhead,
} from "../transport/streams/receive-queue.ts";
import { SendPump, type SendPumpTarget } from "../transport/streams/send-pump.ts";
import { readError } from "./error-headers.ts";
import { IncomingCall, type IncomingCalls, type IncomingRequest } from "./incoming-call.ts";
import { endOfStream, type GoMicroMessage, headerName, type OutgoingHeader } from "./message.ts";

/** The connection of a stream. */
export interface StreamOutlet {
  readonly blocked: boolean;
  send(header: OutgoingHeader, body: Uint8Array): void;
  /** The stream has so much unread data that reading from the connection pauses. */
  full(stream: IncomingStream): void;
  /** The stream has room again. */
  roomy(stream: IncomingStream): void;
  streamEnded(stream: IncomingStream): void;
}

/** An incoming streaming call. */
export class IncomingStream
  extends IncomingCall
  implements ReceiveQueueOwner, SendPumpTarget<unknown>
{
  /** Its id on the connection. */
  readonly id: string;
  readonly #outlet: StreamOutlet;
  readonly decodedAhead: DecodedAhead = servedDecodedAhead;
  readonly #requests = new ReceiveQueue<unknown>(this);
  readonly #responses = new SendPump<unknown>(this, Number.MAX_SAFE_INTEGER);
  #unread = 0;

  constructor(calls: IncomingCalls, request: IncomingRequest, id: string, outlet: StreamOutlet) {
    super(calls, request);
    this.id = id;
    this.#outlet = outlet;
  }

  run(): void {
    try {
      this.#responses.start(this.calls.dispatcher.stream(this.call, this.#requests));
    } catch (reason) {
      this.failed(reason);
    }
  }

  /** Handles a further message from the caller. */
  receive(message: GoMicroMessage): void {
    const error = message.header.get(headerName.error.toLowerCase());
    if (error === endOfStream) this.#requests.end();
    else if (error) this.#requests.end(readError(error, message));
    else this.take(message.body);
  }

  /** Receives a request. */
  take(body: Uint8Array): void {
    if (this.over || this.#requests.ended) return;
    const { limits } = this.calls;
    const { method } = this.request;
    // A connection that cannot be paused continues to deliver messages.
    if (this.#unread > 2 * limits.streamWindowBytes + limits.maxMessageBytes) {
      this.cancel(
        messageTooLarge(
          `unread messages of ${method.name}`,
          this.#unread,
          limits.streamWindowBytes,
          "unknown",
        ),
      );
      return;
    }
    const cost = body.length + messageOverheadBytes;
    this.#unread += cost;
    this.#requests.receive(body, 0, body.length, cost);
    if (this.#unread > limits.streamWindowBytes) this.#outlet.full(this);
  }

  decode(bytes: Uint8Array, start: number, end: number): unknown {
    try {
      return this.decodeRequest(
        this.request.form.open(bytes.subarray(start, end), this.calls.limits.maxMessageElements)
          .message,
      );
    } catch (reason) {
      this.cancel(codecError(reason, "unknown"));
      return undefined;
    }
  }

  /** The connection accepts responses again. */
  drained(): void {
    this.#responses.resume();
  }

  override cancel(error: MicroError): void {
    if (this.over) return;
    this.#requests.abort(error);
    super.cancel(error);
  }

  opened(): void {}

  consumed(cost: number): void {
    this.#unread -= cost;
    if (this.#unread * 2 < this.calls.limits.streamWindowBytes) this.#outlet.roomy(this);
  }

  dropped(cost: number): void {
    this.consumed(cost);
  }

  /** A handler that stops reading does not end its call; further requests are discarded. */
  abandoned(): void {
    this.#outlet.roomy(this);
  }

  blocked(): boolean {
    return this.#outlet.blocked;
  }

  send(response: unknown): number {
    return this.sendMessage(response, new Map());
  }

  finished(): void {
    if (this.over) return;
    try {
      this.sendEnd(
        new Map([
          [headerName.error, endOfStream],
          [`X-${headerName.error}`, endOfStream],
        ]),
      );
    } catch (reason) {
      this.failed(reason);
      return;
    }
    this.finish();
  }

  failed(reason: unknown): void {
    this.respondWithError(reason);
  }

  protected override deliver(header: OutgoingHeader, body: Uint8Array): void {
    this.#outlet.send(header, body);
  }

  protected override release(): void {
    this.#responses.stop();
    this.#requests.abort(callEnded(this.request.method.name));
    this.#outlet.streamEnded(this);
  }
}
