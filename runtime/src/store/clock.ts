import { monotonicNow } from "../deadline.ts";

/**
 * The wall clock as expiry sees it, in milliseconds since 1970: it follows the system's clock forward and
 * never goes back. So a time to live lasts as long as it says, and no record that has expired comes back when
 * somebody sets the clock.
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
