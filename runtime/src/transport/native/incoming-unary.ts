import { codecError, responseUnread } from "../call-errors.ts";
import { runUnary } from "../run-unary.ts";
import { messageOverheadBytes } from "../streams/receive-queue.ts";
import type { UnaryReceiver } from "../transport.ts";
import { IncomingCall } from "./incoming-call.ts";
import { decodeMessage } from "./payload.ts";
import { flag } from "./protocol.ts";

/** An incoming unary call. */
export class IncomingUnary extends IncomingCall implements UnaryReceiver {
  /** The request of a call that waits. */
  #held: Uint8Array | undefined = undefined;

  /** Decodes the request, and passes the call to the dispatcher. */
  run(bytes: Uint8Array, start: number, end: number): void {
    const { dispatcher, limits } = this.connection;
    let request: unknown;
    try {
      request = decodeMessage(this.method.input, bytes, start, end, limits.maxMessageElements);
    } catch (reason) {
      this.fail(codecError(reason, "not-executed"));
      return;
    }
    runUnary(dispatcher, this, request, this);
  }

  /** Keeps the request of a call that waits. */
  hold(bytes: Uint8Array, start: number, end: number): void {
    const { connection } = this;
    const cost = end - start + messageOverheadBytes;
    if (connection.unreadBytes + cost > connection.maxUnreadBytes) {
      this.fail(codecError(connection.tooMuchUnread(this.method.name), "not-executed"));
      return;
    }
    connection.unreadBytes += cost;
    // The chunk may be much larger than the request.
    this.#held = bytes.slice(start, end);
  }

  responded(response: unknown): void {
    if (this.ended) return;
    if (this.connection.outputFull) {
      this.fail(responseUnread(this.method.name));
      return;
    }
    try {
      this.openResult(flag.message, 0, 0);
      this.writeResponse(response);
    } catch (reason) {
      this.fail(reason);
      return;
    }
    this.finish();
  }

  failed(reason: unknown): void {
    this.fail(reason);
  }

  protected override begin(): void {
    const request = this.#release();
    if (request !== undefined) this.run(request, 0, request.length);
  }

  protected override leave(): void {
    this.#release();
    super.leave();
  }

  #release(): Uint8Array | undefined {
    const held = this.#held;
    if (held === undefined) return undefined;
    this.#held = undefined;
    this.connection.unreadBytes -= held.length + messageOverheadBytes;
    return held;
  }
}
