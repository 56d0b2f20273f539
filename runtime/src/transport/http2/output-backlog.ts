import { type Deadline, monotonicNow } from "../../base/deadline.ts";

/** Time until the pace of a peer over the limit is judged, in milliseconds. */
const graceMs = 1_000;
/** Within which time a peer must be able to read what waits, at its pace, in milliseconds. */
const drainMs = 30_000;
/** How many times the limit may wait even for a peer that reads fast. */
const mostTimes = 8;

/**
 * Judges whether a peer reads too slowly for more output to be kept for it. One that reads at full
 * speed may ask for much at once; one that does not read, or hardly, is refused at the limit.
 */
export class OutputBacklog {
  readonly #limitBytes: number;
  /** Since when more than the limit waits. */
  #since: Deadline = Number.POSITIVE_INFINITY;
  /** Bytes that were sent until then. */
  #sentBefore = 0;

  /** @param limitBytes what may always wait, in bytes */
  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes;
  }

  /**
   * Whether nothing more should be kept for the peer.
   *
   * @param unsentBytes what waits to be sent
   * @param sentBytes what was sent since the connection began
   */
  isFull(unsentBytes: number, sentBytes: number, now: Deadline = monotonicNow()): boolean {
    if (unsentBytes <= this.#limitBytes) {
      this.#since = Number.POSITIVE_INFINITY;
      return false;
    }
    if (unsentBytes > mostTimes * this.#limitBytes) return true;
    if (this.#since === Number.POSITIVE_INFINITY) {
      this.#since = now;
      this.#sentBefore = sentBytes;
    }
    const elapsedMs = now - this.#since;
    if (elapsedMs < graceMs) return false;
    return (sentBytes - this.#sentBefore) * drainMs < unsentBytes * elapsedMs;
  }
}
