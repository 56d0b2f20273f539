import type { UnaryReceiver } from "../transport/transport.ts";
import { Attempt, type OutboundCall } from "./outbound-call.ts";

/** Who goes on when an attempt of a unary call has ended. */
export interface UnaryAttemptOwner {
  attemptAnswered(attempt: UnaryAttempt, message: unknown): void;
  attemptFailed(attempt: UnaryAttempt, reason: unknown): void;
}

/** An attempt of a unary call, which the transport brings the answer to, with what settles the call's promise. */
export class UnaryAttempt extends Attempt implements UnaryReceiver {
  readonly request: unknown;
  readonly resolve: (message: unknown) => void;
  readonly reject: (error: unknown) => void;
  readonly #owner: UnaryAttemptOwner;

  constructor(
    call: OutboundCall,
    request: unknown,
    resolve: (message: unknown) => void,
    reject: (error: unknown) => void,
    owner: UnaryAttemptOwner,
  ) {
    super(call, call.nextMetadata());
    this.request = request;
    this.resolve = resolve;
    this.reject = reject;
    this.#owner = owner;
    call.current = this;
  }

  answered(message: unknown): void {
    this.#owner.attemptAnswered(this, message);
  }

  failed(reason: unknown): void {
    this.#owner.attemptFailed(this, reason);
  }
}
