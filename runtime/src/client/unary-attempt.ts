import type { UnaryReceiver } from "../transport/transport.ts";
import { Attempt, type OutboundCall } from "./outbound-call.ts";

/** Continues the call when an attempt of a unary call has ended. */
export interface UnaryAttemptOwner {
  attemptResponded(attempt: UnaryAttempt, message: unknown): void;
  attemptFailed(attempt: UnaryAttempt, reason: unknown): void;
}

/**
 * One attempt of a unary call: receives the transport's response and settles the call. Only the
 * first response counts.
 */
export class UnaryAttempt extends Attempt implements UnaryReceiver {
  readonly request: unknown;
  /** Settles the call: with the response, or with a promise that rejects. */
  readonly resolve: (message: unknown) => void;
  readonly #owner: UnaryAttemptOwner;
  #settled = false;

  constructor(
    call: OutboundCall,
    request: unknown,
    resolve: (message: unknown) => void,
    owner: UnaryAttemptOwner,
  ) {
    super(call, call.nextMetadata());
    this.request = request;
    this.resolve = resolve;
    this.#owner = owner;
    call.current = this;
  }

  responded(message: unknown): void {
    if (this.#settled) return;
    this.#settled = true;
    this.#owner.attemptResponded(this, message);
  }

  failed(reason: unknown): void {
    if (this.#settled) return;
    this.#settled = true;
    this.#owner.attemptFailed(this, reason);
  }
}
