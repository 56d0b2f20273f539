import type { Deadline } from "../../base/deadline.ts";
import { MicroError } from "../../base/error.ts";
import type { Metadata } from "../../base/metadata.ts";
import type { Peer } from "../../call/call.ts";
import type { AnyMethod } from "../../call/method.ts";
import { callEnded, codecError, messageTooLarge } from "../call-errors.ts";
import {
  type DecodedAhead,
  messageOverheadBytes,
  ReceiveQueue,
  type ReceiveQueueOwner,
  servedDecodedAhead,
} from "../streams/receive-queue.ts";
import { SendPump, type SendPumpTarget } from "../streams/send-pump.ts";
import { encoded, IncomingCall, type IncomingCalls } from "./incoming-call.ts";
import { decodeMessage } from "./payload.ts";
import { frameType } from "./protocol.ts";

/** An incoming streaming call, with flow control in both directions. */
export class IncomingStream
  extends IncomingCall
  implements ReceiveQueueOwner, SendPumpTarget<unknown>
{
  /** The client's requests. */
  readonly requests: ReceiveQueue<unknown>;
  readonly decodedAhead: DecodedAhead = servedDecodedAhead;
  /** How much the client may still send, in bytes. */
  #credit: number;
  readonly #responses: SendPump<unknown>;
  /** Cost of requests that were read and for which no credit has been granted again yet. */
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
    this.requests = new ReceiveQueue<unknown>(this);
    this.#credit = connection.limits.streamWindowBytes;
    this.#responses = new SendPump(this, connection.peerSettings.streamWindowBytes);
  }

  /** Passes the call to the dispatcher, unless it waits or has ended. */
  run(): void {
    if (this.ended || this.isWaiting) return;
    try {
      this.#responses.start(this.connection.dispatcher.stream(this, this.requests));
    } catch (reason) {
      this.fail(reason);
    }
  }

  override waitForAdmission(stopWaiting: () => void): void {
    super.waitForAdmission(stopWaiting);
    this.requests.decodesLate = true;
  }

  /** Receives a request. */
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
    connection.unreadBytes += cost;
    if (connection.unreadBytes > connection.maxUnreadBytes) {
      connection.unreadBytes -= cost;
      this.refuse(connection.tooMuchUnread(this.method.name));
      return;
    }
    this.requests.receive(bytes, start, end, cost);
  }

  decode(bytes: Uint8Array, start: number, end: number): unknown {
    try {
      return decodeMessage(
        this.method.input,
        bytes,
        start,
        end,
        this.connection.limits.maxMessageElements,
      );
    } catch (reason) {
      this.refuse(codecError(reason, "unknown"));
      return undefined;
    }
  }

  /** Called when the client allows this side to send more. */
  granted(bytes: number): void {
    this.#responses.grant(bytes);
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

  /** A handler that stops reading does not end its call; the client only gets no more credit. */
  abandoned(): void {}

  blocked(): boolean {
    return this.connection.waitForDrain(this.#responses);
  }

  send(response: unknown): number {
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
    return this.writeResponse(response) + messageOverheadBytes;
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

  protected override begin(): void {
    this.requests.decodesLate = false;
    this.run();
  }

  protected override giveUp(reason: MicroError): void {
    this.#responses.stop();
    super.giveUp(reason);
    this.requests.abort(reason);
  }

  protected override finish(): void {
    this.ended = true;
    this.#responses.stop();
    this.requests.abort(() => callEnded(this.method.name));
    super.finish();
  }
}
