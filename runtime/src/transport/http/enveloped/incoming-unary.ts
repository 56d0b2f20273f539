import { codecError, responseUnread } from "../../call-errors.ts";
import { runUnary } from "../../run-unary.ts";
import type { UnaryReceiver } from "../../transport.ts";
import { requestCompressed } from "../compression/keys.ts";
import { IncomingEnvelopedCall, wrongCount } from "./incoming-call.ts";

/** An incoming unary call of gRPC or gRPC-Web. It runs when its request is complete. */
export class IncomingEnvelopedUnary extends IncomingEnvelopedCall implements UnaryReceiver {
  #request: unknown;
  #isInflating = false;
  #allReceived = false;

  onWritable(): void {
    // Its only message is sent at once, or waits in the stream.
  }

  responded(response: unknown): void {
    if (this.ended) return;
    if (this.connection.outputFull) {
      this.fail(responseUnread(this.method.name));
      return;
    }
    try {
      const sent = this.sendMessage(response);
      if (typeof sent === "boolean") this.sendEnd();
      else void this.#endAfter(sent);
    } catch (reason) {
      this.fail(reason);
    }
  }

  start(): void {
    this.expectMessage();
  }

  protected override get needsRequest(): boolean {
    return true;
  }

  async #endAfter(sent: Promise<boolean>): Promise<void> {
    try {
      await sent;
      if (!this.ended) this.sendEnd();
    } catch (reason) {
      this.fail(reason);
    }
  }

  protected messageReceived(
    bytes: Uint8Array,
    start: number,
    end: number,
    cost: number,
    isCompressed: boolean,
  ): void {
    this.stream.consume(cost);
    if (this.#request !== undefined || this.#isInflating) {
      this.refuse(wrongCount(`${this.method.name} takes one request, and received more`));
      return;
    }
    // It counts as incomplete until its end has arrived.
    if (!this.hold(end - start)) return;
    if (isCompressed) void this.#inflate(bytes.subarray(start, end));
    else this.#request = this.decodeRequest(bytes, start, end);
  }

  protected requestsEnded(): void {
    if (this.#isInflating) {
      this.#allReceived = true;
      this.expectNothing();
    } else if (this.#request === undefined) {
      this.refuse(wrongCount(`${this.method.name} takes a request, and received none`));
    } else this.#run(this.#request);
  }

  async #inflate(compressed: Uint8Array): Promise<void> {
    this.#isInflating = true;
    try {
      const bytes = await this.inflation(this.header.coding!).inflate(compressed);
      if (this.ended) return;
      this.set(requestCompressed, true);
      this.#request = this.decodeRequest(bytes, 0, bytes.length);
    } catch (reason) {
      if (!this.ended) this.refuse(codecError(reason, this.outcome));
    }
    this.#isInflating = false;
    if (this.#allReceived && !this.ended) this.#run(this.#request);
  }

  #run(request: unknown): void {
    this.#request = undefined;
    this.release();
    this.expectNothing();
    runUnary(this.connection.dispatcher, this, request, this);
  }
}
