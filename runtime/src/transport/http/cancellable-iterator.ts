/**
 * An iterator that converts the messages of a stream and can be cancelled. A pending read ends at
 * once on cancellation, whatever the source does. Only one read is active at a time; further ones
 * queue.
 */
export class CancellableIterator<A, B> implements AsyncIterableIterator<B> {
  readonly #open: () => AsyncIterator<A>;
  readonly #convert: (message: A) => B;
  readonly #failed: (reason: unknown) => unknown;
  readonly #ended: (() => void | Promise<void>) | undefined;
  #source: AsyncIterator<A> | undefined;
  #over = false;
  #error: { readonly reason: unknown } | undefined;
  #waiting: ((reason: unknown) => void) | undefined;
  #last: Promise<unknown> = Promise.resolve();

  /**
   * @param convert converts a message; if it throws, the stream ends with that error.
   * @param failed maps an error of the source or of `convert` to the error that the reader gets.
   * @param ended called when the source has ended; if it throws, the stream fails with that error.
   */
  constructor(
    source: AsyncIterable<A>,
    convert: (message: A) => B,
    failed: (reason: unknown) => unknown,
    ended?: () => void | Promise<void>,
  ) {
    this.#open = () => source[Symbol.asyncIterator]();
    this.#convert = convert;
    this.#failed = failed;
    this.#ended = ended;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<IteratorResult<B>> {
    const step = this.#last.then(() => this.#next());
    this.#last = step.catch(() => undefined);
    return step;
  }

  async return(): Promise<IteratorResult<B>> {
    this.#over = true;
    this.#leave();
    return { done: true, value: undefined };
  }

  /** As {@link return}, for a reader that has failed. */
  async throw(reason: unknown): Promise<IteratorResult<B>> {
    this.#over = true;
    this.#leave();
    throw reason;
  }

  /** Ends the stream: the pending read, or otherwise the next one, fails with this reason. */
  cancel(reason: unknown): void {
    if (this.#over) return;
    this.#over = true;
    const waiting = this.#waiting;
    if (waiting === undefined) this.#error = { reason };
    else waiting(reason);
    this.#leave();
  }

  #next(): Promise<IteratorResult<B>> {
    return new Promise((resolve, reject) => {
      if (this.#over) {
        const error = this.#error;
        this.#error = undefined;
        if (error === undefined) resolve({ done: true, value: undefined });
        else reject(error.reason);
        return;
      }
      this.#waiting = reject;
      this.#pull().then(
        (step) => {
          this.#waiting = undefined;
          resolve(step);
        },
        (reason) => {
          this.#waiting = undefined;
          if (this.#over) return;
          this.#over = true;
          this.#leave();
          reject(this.#failed(reason));
        },
      );
    });
  }

  async #pull(): Promise<IteratorResult<B>> {
    this.#source ??= this.#open();
    const step = await this.#source.next();
    if (this.#over) return { done: true, value: undefined };
    if (step.done !== true) return { done: false, value: this.#convert(step.value) };
    this.#source = undefined;
    await this.#ended?.();
    this.#over = true;
    return { done: true, value: undefined };
  }

  /** Closes the source. An error that it throws is ignored, because the reader has left. */
  #leave(): void {
    const source = this.#source;
    this.#source = undefined;
    source?.return?.().catch(() => undefined);
  }
}
