import type { UnaryReceiver } from "../transport.ts";
import type { OutgoingHeader } from "./message.ts";
import { ServedCall, type ServedCalls, type ServedRequest } from "./served-call.ts";

/** Whom a unary call leaves its answer with. */
export interface UnaryOutlet {
  /** The answer of a call; it goes out when those of earlier requests have. */
  complete(call: ServedUnary, header: OutgoingHeader, body: Uint8Array): void;
}

/** A unary call that came in. */
export class ServedUnary extends ServedCall implements UnaryReceiver {
  readonly #outlet: UnaryOutlet;

  constructor(calls: ServedCalls, request: ServedRequest, outlet: UnaryOutlet) {
    super(calls, request);
    this.#outlet = outlet;
  }

  run(): void {
    const { dispatcher } = this.calls;
    try {
      const message = this.decode(this.request.opened.message);
      if (dispatcher.startUnary !== undefined) {
        dispatcher.startUnary(this.call, message, this);
        return;
      }
      Promise.resolve(dispatcher.unary(this.call, message)).then(
        (answer) => this.answered(answer),
        (reason) => this.failed(reason),
      );
    } catch (reason) {
      this.failed(reason);
    }
  }

  answered(answer: unknown): void {
    if (this.over) return;
    try {
      const header: OutgoingHeader = new Map();
      this.trailersInto(header);
      this.sendMessage(answer, header);
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
    this.#outlet.complete(this, header, body);
  }

  protected override release(): void {}
}
