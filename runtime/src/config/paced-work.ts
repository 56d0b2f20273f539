/** Work may take at most one part in this many of the time. */
const share = 10;

/**
 * Runs work soon after it is requested, once for all requests made meanwhile, and at most as often
 * as takes a tenth of the time, however often it is requested.
 */
export class PacedWork {
  readonly #work: () => void;
  #timer: NodeJS.Timeout | undefined;
  #idleUntil = 0;

  /** @param work must not throw */
  constructor(work: () => void) {
    this.#work = work;
  }

  request(): void {
    this.#timer ??= setTimeout(() => this.run(), Math.max(0, this.#idleUntil - performance.now()));
  }

  /** Runs the work now, which settles pending requests. */
  run(): void {
    this.cancel();
    const begun = performance.now();
    this.#work();
    const ended = performance.now();
    this.#idleUntil = ended + (ended - begun) * (share - 1);
  }

  cancel(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }
}
