import { monotonicNow } from "../base/deadline.ts";

/**
 * The wall clock used for expiry, in milliseconds since 1970: it follows the system's clock forward
 * and never goes back. So a time to live is never extended, and an expired record does not return
 * when the clock is set.
 */
export class ExpiryClock {
  #base: number = Date.now() - monotonicNow();

  now(): number {
    const elapsed = monotonicNow();
    const wall = Date.now();
    if (wall > this.#base + elapsed) this.#base = wall - elapsed;
    return this.#base + elapsed;
  }
}
