/**
 * A wall clock that never goes back: a clock that is set back must not revive an expired token.
 */
export class AdvancingClock {
  readonly #read: () => number;
  #latest = 0;

  /** @param read returns milliseconds since 1970. */
  constructor(read: () => number = () => Date.now()) {
    this.#read = read;
  }

  now(): number {
    this.#latest = Math.max(this.#latest, this.#read());
    return this.#latest;
  }

  /** How far the clock was set back, in milliseconds. */
  get setBackMs(): number {
    return Math.max(0, this.#latest - this.#read());
  }
}
