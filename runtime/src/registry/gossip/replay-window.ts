const bits = 1_024;
const words = bits / 32;

/** The sequence numbers received from one sender: each is accepted once, unless it is too old. */
export class ReplayWindow {
  readonly #seen = new Uint32Array(words);
  #highest = 0;

  /** Whether a number is new, without noting it. */
  isNew(sequence: number): boolean {
    if (sequence > this.#highest) return true;
    if (sequence <= this.#highest - bits) return false;
    const bit = sequence % bits;
    return ((this.#seen[bit >>> 5]! >>> (bit & 31)) & 1) === 0;
  }

  /** Notes a number that {@link isNew}. */
  note(sequence: number): void {
    if (sequence > this.#highest) {
      if (sequence - this.#highest >= bits) this.#seen.fill(0);
      else for (let at = this.#highest + 1; at < sequence; at++) this.#clear(at % bits);
      this.#highest = sequence;
    }
    const bit = sequence % bits;
    this.#seen[bit >>> 5]! |= 1 << (bit & 31);
  }

  #clear(bit: number): void {
    this.#seen[bit >>> 5]! &= ~(1 << (bit & 31));
  }
}
