import type { UnaryReceiver } from "../transport/transport.ts";
import { IncomingCall, type IncomingCalls, type IncomingRequest } from "./incoming-call.ts";
import type { OutgoingHeader } from "./message.ts";

/** Receives a unary call's response. */
export interface UnaryOutlet {
  /** Sends the response of a call, once the responses of earlier requests have been sent. */
  complete(call: IncomingUnary, header: OutgoingHeader, body: Uint8Array): void;
}

/** An incoming unary call. */
export class IncomingUnary extends IncomingCall implements UnaryReceiver {
  readonly #outlet: UnaryOutlet;

  constructor(calls: IncomingCalls, request: IncomingRequest, outlet: UnaryOutlet) {
    super(calls, request);
    this.#outlet = outlet;
  }

  run(): void {
    const { dispatcher } = this.calls;
    try {
      const message = this.decodeRequest(this.request.opened.message);
      if (dispatcher.startUnary !== undefined) {
        dispatcher.startUnary(this.call, message, this);
        return;
      }
      Promise.resolve(dispatcher.unary(this.call, message)).then(
        (response) => this.responded(response),
        (reason) => this.failed(reason),
      );
    } catch (reason) {
      this.failed(reason);
    }
  }

  responded(response: unknown): void {
    if (this.over) return;
    try {
      const header: OutgoingHeader = new Map();
      this.trailersInto(header);
      this.sendMessage(response, header);
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
    this.#outlet.complete(this, header, body);
  }

  protected override release(): void {}
}
