import { type Deadline, DeadlineSweep, deadlineAfter } from "../base/deadline.ts";
import { MicroError } from "../base/error.ts";
import type { CallObserver, ServerCall } from "../call/call.ts";
import { type CallKind, ConnectionPeer } from "../call/connection-peer.ts";

/** While at most this share of all places is free, connections are held to their shares. */
const scarceShare = 1 / 4;
/**
 * Share of all places reserved for further connections: 20 of 1,024, so that one connection can
 * still have 1,000 calls.
 */
const reservedShare = 1 / 50;

/** Options for an {@link Admission}. */
export interface AdmissionOptions {
  /** Maximum number of concurrent handlers. */
  readonly limit: number;
  /** Names the counted calls in the message of a refusal: `calls` or `streams`. */
  readonly what: CallKind;
  /** How long a handler may keep running after its call was cancelled, in milliseconds. */
  readonly abandonAfterMs: number;
  /** Called for a handler that did not end within that time. */
  readonly onAbandoned: (call: ServerCall) => void;
}

/**
 * Counts running handlers and refuses calls over the limit immediately, so that overload costs the
 * caller a response and the server almost nothing.
 *
 * One connection cannot take all places. While a quarter of them or less is free, a connection gets
 * no more than an equal share of all, and the last {@link reservedShare} go only to connections
 * with few calls. As long as others have no calls, a connection may take all but those last ones.
 *
 * A cancelled call counts until its handler has ended: a client that opens calls and cancels them
 * cannot cause more work than the limit. A handler that never ends would hold its place for ever,
 * so it loses the place some time after the cancellation.
 */
export class Admission implements CallObserver {
  readonly #options: AdmissionOptions;
  readonly #limit: number;
  readonly #what: CallKind;
  /**
   * From this many running calls on, connections are held to their shares; the second threshold is
   * stricter.
   */
  readonly #scarceFrom: number;
  readonly #reservedFrom: number;
  /** Number of connections with running calls. */
  #connections = 0;
  /** Cancelled calls whose handlers are still running, in the order of their deadlines. */
  readonly #cancelled = new Map<ServerCall, Deadline>();
  readonly #sweep = new DeadlineSweep((now) => this.#abandon(now), 50);
  inFlight = 0;
  started = 0;
  refused = 0;
  abandoned = 0;

  constructor(options: AdmissionOptions) {
    this.#options = options;
    this.#limit = options.limit;
    this.#what = options.what;
    this.#scarceFrom = Math.ceil(options.limit * (1 - scarceShare));
    this.#reservedFrom = options.limit - Math.floor(options.limit * reservedShare);
  }

  /**
   * Admits a call. @throws MicroError `resource_exhausted`, `not-executed`, when there is no room.
   */
  enter(call: ServerCall): void {
    if (this.inFlight >= this.#limit) {
      this.refused++;
      throw overloaded(
        call,
        `the server is at its limit of ${this.#limit} concurrent ${this.#what}`,
      );
    }
    const { peer } = call;
    if (peer instanceof ConnectionPeer) {
      if (this.inFlight >= this.#scarceFrom) this.#checkShare(call, peer);
      if (peer.count(this.#what, 1) === 1) this.#connections++;
    }
    this.inFlight++;
    this.started++;
    call.observer = this;
  }

  /** Removes a call from the count, once however often it is called. */
  leave(call: ServerCall): void {
    if (call.observer !== this) return;
    call.observer = undefined;
    this.inFlight--;
    const { peer } = call;
    if (peer instanceof ConnectionPeer && peer.count(this.#what, -1) === 0) this.#connections--;
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

  /**
   * @throws MicroError `resource_exhausted`, `not-executed`, when the connection has used up its
   * share.
   */
  #checkShare(call: ServerCall, peer: ConnectionPeer): void {
    const own = peer.atWork(this.#what);
    const sharers = own === 0 ? this.#connections + 1 : this.#connections;
    const free = this.#limit - this.inFlight;
    // A connection gets at most half of the reserved places that are left, so that a few do not use
    // them all.
    const most = this.inFlight >= this.#reservedFrom ? free / 2 : this.#limit / sharers;
    if (own < most) return;
    this.refused++;
    throw overloaded(
      call,
      `its connection has ${own} of the ${this.inFlight} ${this.#what} at work, and the rest of the server's limit of ${this.#limit} is kept for other connections`,
    );
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

function overloaded(call: ServerCall, why: string): MicroError {
  return new MicroError(
    "resource_exhausted",
    `${call.method.name} was refused: ${why}; try again later or another node`,
    {
      outcome: "not-executed",
      // Randomized, so that callers refused together do not retry together.
      retryAfterMs: 100 + Math.floor(Math.random() * 100),
    },
  );
}
