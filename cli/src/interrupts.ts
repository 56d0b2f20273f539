/** A signal that comes this soon after another is the same Ctrl-C: npm and npx pass theirs on as well. In milliseconds. */
const echoMs = 300;

/**
 * What Ctrl-C and SIGTERM mean to a command. The first asks it to end. The second does not wait for a command that is
 * slow to end, unless it drains: then it is told to hurry, and the third ends it.
 */
export class Interrupts {
  readonly #first = new AbortController();
  readonly #second = new AbortController();
  readonly #exit: () => void;
  #heard = 0;
  #heardAt = Number.NEGATIVE_INFINITY;
  /** Set for a command that ends by itself after the second one. */
  drains = false;

  constructor(exit: () => void) {
    this.#exit = exit;
  }

  get heard(): boolean {
    return this.#heard > 0;
  }

  get signal(): AbortSignal {
    return this.#first.signal;
  }

  get urgent(): AbortSignal {
    return this.#second.signal;
  }

  readonly hear = (): void => {
    const now = performance.now();
    if (now - this.#heardAt < echoMs) return;
    this.#heardAt = now;
    this.#heard++;
    if (this.#heard === 1) this.#first.abort();
    else if (this.#heard === 2 && this.drains) this.#second.abort();
    else this.#exit();
  };
}
