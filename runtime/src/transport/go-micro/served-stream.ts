import type { MicroError } from "../../error.ts";
import { callEnded, codecError, messageTooLarge } from "../call-errors.ts";
import { Inbox, type InboxOwner, messageOverheadBytes } from "../inbox.ts";
import { Pump, type PumpTarget } from "../pump.ts";
import { readError } from "./error-text.ts";
import { endOfStream, type GoMicroMessage, headerName, type OutgoingHeader } from "./message.ts";
import { ServedCall, type ServedCalls, type ServedRequest } from "./served-call.ts";

/** The connection of a stream. */
export interface StreamOutlet {
  readonly blocked: boolean;
  send(header: OutgoingHeader, body: Uint8Array): void;
  /** The stream has so many bytes unread: more of the connection is not read for now. */
  full(stream: ServedStream): void;
  /** It has room again. */
  roomy(stream: ServedStream): void;
  streamEnded(stream: ServedStream): void;
}

/** A call of a streaming kind that came in. */
export class ServedStream extends ServedCall implements InboxOwner, PumpTarget<unknown> {
  /** Its name on the connection. */
  readonly id: string;
  readonly #outlet: StreamOutlet;
  readonly #requests = new Inbox<unknown>(this);
  readonly #answers = new Pump<unknown>(this, Number.MAX_SAFE_INTEGER);
  #unread = 0;

  constructor(calls: ServedCalls, request: ServedRequest, id: string, outlet: StreamOutlet) {
    super(calls, request);
    this.id = id;
    this.#outlet = outlet;
  }

  run(): void {
    try {
      this.#answers.start(this.calls.dispatcher.stream(this.call, this.#requests));
    } catch (reason) {
      this.failed(reason);
    }
  }

  /** A further message of the caller's. */
  receive(message: GoMicroMessage): void {
    const error = message.header.get(headerName.error.toLowerCase());
    if (error === endOfStream) this.#requests.end();
    else if (error) this.#requests.end(readError(error, message));
    else this.take(message.body);
  }

  /** Takes a request. */
  take(body: Uint8Array): void {
    if (this.over || this.#requests.ended) return;
    const { limits } = this.calls;
    const { method, form } = this.request;
    // A link that cannot be paused goes on bringing messages.
    if (this.#unread > 2 * limits.streamWindowBytes + limits.maxMessageBytes) {
      this.cancel(
        messageTooLarge(
          `what is unread of ${method.name}`,
          this.#unread,
          limits.streamWindowBytes,
          "unknown",
        ),
      );
      return;
    }
    let request: unknown;
    try {
      request = this.decode(form.open(body).message);
    } catch (reason) {
      this.cancel(codecError(reason, "unknown"));
      return;
    }
    const cost = body.length + messageOverheadBytes;
    this.#unread += cost;
    this.#requests.push(request, cost);
    if (this.#unread > limits.streamWindowBytes) this.#outlet.full(this);
  }

  /** The connection takes answers again. */
  drained(): void {
    this.#answers.resume();
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

  /** A handler that reads no further does not end its call; what comes is thrown away. */
  abandoned(): void {
    this.#outlet.roomy(this);
  }

  blocked(): boolean {
    return this.#outlet.blocked;
  }

  send(answer: unknown): number {
    return this.sendMessage(answer, new Map());
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
    this.answerWithError(reason);
  }

  protected override deliver(header: OutgoingHeader, body: Uint8Array): void {
    this.#outlet.send(header, body);
  }

  protected override release(): void {
    this.#answers.stop();
    this.#requests.abort(callEnded(this.request.method.name));
    this.#outlet.streamEnded(this);
  }
}
