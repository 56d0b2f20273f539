import type { CallObserver, ServerCall } from "../call.ts";
import { type Deadline, DeadlineSweep, deadlineAfter } from "../deadline.ts";
import { MicroError } from "../error.ts";

/** How many calls an {@link Admission} lets in, and what it tells of them. */
export interface AdmissionOptions {
  /** Handlers that may be at work at once. */
  readonly limit: number;
  /** What is counted, for the message of a refusal: `calls` or `streams`. */
  readonly what: string;
  /** Time that a handler has to end after its call was cancelled, in milliseconds. */
  readonly abandonAfterMs: number;
  /** Told of a handler that did not end in that time. */
  readonly onAbandoned: (call: ServerCall) => void;
}

/**
 * Counts the handlers at work and refuses calls over the limit at once, so that overload costs the caller
 * an answer and the server almost nothing.
 *
 * A cancelled call counts until its handler has ended: a client that opens calls and cancels them cannot
 * have more work done than the limit. A handler that never ends would hold its place for ever, so it loses
 * it some time after the cancellation.
 */
export class Admission implements CallObserver {
  readonly #options: AdmissionOptions;
  readonly #limit: number;
  /** Cancelled calls whose handlers are at work still, in the order of their deadlines. */
  readonly #cancelled = new Map<ServerCall, Deadline>();
  readonly #sweep = new DeadlineSweep((now) => this.#abandon(now), 50);
  inFlight = 0;
  started = 0;
  refused = 0;
  abandoned = 0;

  constructor(options: AdmissionOptions) {
    this.#options = options;
    this.#limit = options.limit;
  }

  /** Counts a call in. @throws MicroError `resource_exhausted`, `not-executed`, when there is no room. */
  enter(call: ServerCall): void {
    if (this.inFlight >= this.#limit) {
      this.refused++;
      throw overloaded(call, this.#limit, this.#options.what);
    }
    this.inFlight++;
    this.started++;
    call.observer = this;
  }

  /** Counts a call out, once however often it is said. */
  leave(call: ServerCall): void {
    if (call.observer !== this) return;
    call.observer = undefined;
    this.inFlight--;
    if (call.cancelled !== undefined) this.#cancelled.delete(call);
  }

  callCancelled(call: ServerCall): void {
    const deadline = deadlineAfter(this.#options.abandonAfterMs);
    this.#cancelled.set(call, deadline);
    this.#sweep.watch(deadline);
  }

  close(): void {
    this.#sweep.close();
    this.#cancelled.clear();
  }

  #abandon(now: Deadline): Deadline {
    for (const [call, deadline] of this.#cancelled) {
      if (deadline > now) return deadline;
      this.leave(call);
      this.abandoned++;
      this.#options.onAbandoned(call);
    }
    return Number.POSITIVE_INFINITY;
  }
}

function overloaded(call: ServerCall, limit: number, what: string): MicroError {
  return new MicroError(
    "resource_exhausted",
    `${call.method.name} was refused: the server is at its limit of ${limit} concurrent ${what}; try again later or another node`,
    {
      outcome: "not-executed",
      // Spread, so that callers refused together do not come back together.
      retryAfterMs: 100 + Math.floor(Math.random() * 100),
    },
  );
}
