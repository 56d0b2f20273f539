import type { Peer } from "../../call.ts";
import type { Deadline } from "../../deadline.ts";
import { MicroError } from "../../error.ts";
import type { Metadata } from "../../metadata.ts";
import type { AnyMethod } from "../../method.ts";
import { callEnded, codecError, messageTooLarge } from "../call-errors.ts";
import { Inbox, type InboxOwner, messageOverheadBytes } from "../inbox.ts";
import { Pump, type PumpTarget } from "../pump.ts";
import { encoded, IncomingCall, type IncomingCalls } from "./incoming-call.ts";
import { decodeMessage } from "./payload.ts";
import { frameType } from "./protocol.ts";

/** A call of a streaming kind that came in, with both directions' flow control. */
export class IncomingStream extends IncomingCall implements InboxOwner, PumpTarget<unknown> {
  /** What the client sends. */
  readonly requests: Inbox<unknown>;
  /** What the client may still send, in bytes. */
  #credit: number;
  readonly #answers: Pump<unknown>;
  /** Cost of requests that were read and not granted again. */
  #owed = 0;

  constructor(
    connection: IncomingCalls,
    id: number,
    method: AnyMethod,
    peer: Peer,
    metadata: Metadata | undefined,
    deadline: Deadline,
  ) {
    super(connection, id, method, peer, metadata, deadline);
    this.requests = new Inbox<unknown>(this);
    this.#credit = connection.limits.streamWindowBytes;
    this.#answers = new Pump(this, connection.peerSettings.streamWindowBytes);
  }

  /** Gives the call to the dispatcher. */
  run(): void {
    try {
      this.#answers.start(this.connection.dispatcher.stream(this, this.requests));
    } catch (reason) {
      this.fail(reason);
    }
  }

  /** Takes a request. */
  receive(bytes: Uint8Array, start: number, end: number): void {
    const { connection } = this;
    if (this.#credit <= 0) {
      throw new MicroError(
        "resource_exhausted",
        `received a message of ${this.method.name} beyond the credit that was given`,
      );
    }
    const length = end - start;
    const cost = length + messageOverheadBytes;
    this.#credit -= cost;
    if (length > connection.limits.maxMessageBytes) {
      this.refuse(
        messageTooLarge(
          `a request of ${this.method.name}`,
          length,
          connection.limits.maxMessageBytes,
          "unknown",
        ),
      );
      return;
    }
    if (this.requests.ended) return;
    let request: unknown;
    try {
      request = decodeMessage(this.method.input, bytes, start, end);
    } catch (reason) {
      this.refuse(codecError(reason, "unknown"));
      return;
    }
    connection.unreadBytes += cost;
    if (connection.unreadBytes > connection.maxUnreadBytes) {
      connection.unreadBytes -= cost;
      this.refuse(connection.tooMuchUnread(this.method.name));
      return;
    }
    this.requests.push(request, cost);
  }

  /** The client lets this side send more. */
  granted(bytes: number): void {
    this.#answers.grant(bytes);
  }

  opened(): void {}

  consumed(cost: number): void {
    const { connection } = this;
    connection.unreadBytes -= cost;
    if (this.ended) return;
    this.#owed += cost;
    if (this.#owed * 2 < connection.limits.streamWindowBytes) return;
    this.#credit += this.#owed;
    connection.writer.bare(frameType.credit, 0, this.id, this.#owed);
    this.#owed = 0;
  }

  dropped(cost: number): void {
    this.connection.unreadBytes -= cost;
  }

  /** A handler that reads no further does not end its call; the client just gets no more credit. */
  abandoned(): void {}

  blocked(): boolean {
    return this.connection.waitForDrain(this.#answers);
  }

  send(answer: unknown): number {
    const { writer } = this.connection;
    if (!this.headersSent) {
      this.headersSent = true;
      const metadata = encoded(this.sentMetadata, this.method);
      if (metadata !== undefined) {
        writer.open(frameType.headers, 0, 0, this.id, 0);
        writer.bytes(metadata);
        writer.close();
      }
    }
    writer.open(frameType.message, 0, 0, this.id, 0);
    return this.writeAnswer(answer) + messageOverheadBytes;
  }

  finished(): void {
    if (this.ended) return;
    try {
      this.openResult(0, 0, 0);
    } catch (reason) {
      this.fail(reason);
      return;
    }
    this.connection.writer.close();
    this.finish();
  }

  failed(reason: unknown): void {
    this.fail(reason);
  }

  protected override giveUp(reason: MicroError): void {
    this.#answers.stop();
    super.giveUp(reason);
    this.requests.abort(reason);
  }

  protected override finish(): void {
    this.ended = true;
    this.#answers.stop();
    this.requests.abort(() => callEnded(this.method.name));
    super.finish();
  }
}
