import { countedSchema, countMessageElements } from "../../../codec/message-elements.ts";
import { callerGone, codecError, responseUnread } from "../../call-errors.ts";
import { decodeMessage } from "../../native/payload.ts";
import { runUnary } from "../../run-unary.ts";
import type { UnaryReceiver } from "../../transport.ts";
import { CallInflation } from "../compression/inflation.ts";
import { requestCompressed } from "../compression/keys.ts";
import { undecodable } from "../http2-call.ts";
import { IncomingGrpcCall, wrongCount } from "./incoming-call.ts";

/** An incoming unary gRPC call. It runs when its request is complete. */
export class IncomingGrpcUnary extends IncomingGrpcCall implements UnaryReceiver {
  #request: unknown;
  #isInflating = false;
  #allReceived = false;

  onWritable(): void {
    // Its only message is sent at once, or waits in the stream.
  }

  answered(answer: unknown): void {
    if (this.ended) return;
    if (this.connection.outputFull) {
      this.fail(responseUnread(this.method.name));
      return;
    }
    try {
      const sent = this.sendMessage(answer);
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

  protected received(
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
    else this.#decode(bytes, start, end);
  }

  protected requestsEnded(): void {
    if (this.#isInflating) {
      this.#allReceived = true;
      this.expectNothing();
    } else if (this.#request === undefined) {
      this.refuse(wrongCount(`${this.method.name} takes a request, and received none`));
    } else this.#run(this.#request);
  }

  #decode(bytes: Uint8Array, start: number, end: number): void {
    const { method, connection } = this;
    try {
      const { maxMessageElements } = connection.limits;
      this.#request = decodeMessage(method.input, bytes, start, end, maxMessageElements);
    } catch (reason) {
      this.refuse(undecodable(reason, this.outcome));
    }
  }

  async #inflate(compressed: Uint8Array): Promise<void> {
    this.#isInflating = true;
    const { maxRequestBytes, maxInflationRatio } = this.connection;
    const { name, input } = this.method;
    const over = () => (this.ended ? callerGone(name) : undefined);
    const inflation = new CallInflation(maxRequestBytes, maxInflationRatio, over);
    const schema = countedSchema(input);
    try {
      const bytes = await inflation.inflate(this.encoding!, compressed);
      if (this.ended) return;
      if (schema !== undefined) {
        inflation.countElements((most) => countMessageElements(schema, bytes, most));
      }
      this.set(requestCompressed, true);
      this.#decode(bytes, 0, bytes.length);
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
