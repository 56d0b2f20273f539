/**
 * A second signal within this time is the same Ctrl-C, because npm and npx forward theirs. In
 * milliseconds.
 */
const echoMs = 300;

/**
 * Handles Ctrl-C and SIGTERM for a command. The first signal asks it to end. The second one ends
 * the program, unless the command drains: then it has to hurry, and the third signal ends it.
 */
export class Interrupts {
  readonly #first = new AbortController();
  readonly #second = new AbortController();
  readonly #exit: () => void;
  #heard = 0;
  #heardAt = Number.NEGATIVE_INFINITY;
  /** Set for a command that ends by itself after the second signal. */
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
