import { responseUnread } from "../call-errors.ts";
import { runUnary } from "../run-unary.ts";
import type { UnaryReceiver } from "../transport.ts";
import { IncomingCall } from "./incoming-call.ts";
import { flag } from "./protocol.ts";

/** An incoming unary call. */
export class IncomingUnary extends IncomingCall implements UnaryReceiver {
  /** Passes the call to the dispatcher. */
  run(request: unknown): void {
    runUnary(this.connection.dispatcher, this, request, this);
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
}
