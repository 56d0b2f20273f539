import { waitUntilAborted } from "../base/abort.ts";

/**
 * The time in which work may end by itself before it is aborted. It can be shortened while it runs,
 * as a second SIGTERM does.
 */
export class GracePeriod {
  readonly #over = new AbortController();
  #until = Number.POSITIVE_INFINITY;
  #timer: NodeJS.Timeout | undefined;

  constructor(ms?: number) {
    if (ms !== undefined) this.shorten(ms);
  }

  /** Milliseconds left; Infinity if it has no end yet. */
  get leftMs(): number {
    return this.#over.signal.aborted ? 0 : Math.max(0, this.#until - performance.now());
  }

  /** Ends the period after at most `ms`. */
  shorten(ms: number): void {
    const until = performance.now() + ms;
    if (until >= this.#until || this.#over.signal.aborted) return;
    this.#until = until;
    clearTimeout(this.#timer);
    if (ms <= 0) this.#over.abort();
    else this.#timer = setTimeout(() => this.#over.abort(), ms);
  }

  /** Waits for this time, or for the end of the period. */
  async pause(ms: number): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    await this.wait(
      new Promise<void>((resolve) => {
        timer = setTimeout(resolve, ms);
      }),
    );
    clearTimeout(timer);
  }

  /** Waits for work that does not reject, or for the end of the period. */
  async wait(work: Promise<unknown>): Promise<void> {
    await waitUntilAborted(this.#over.signal, (done) => {
      void work.then(done);
      return () => {};
    });
  }

  /** Stops the timer. */
  end(): void {
    clearTimeout(this.#timer);
  }
}
