/**
 * Messages of a stream on their way through: each is turned into another form, and a read that waits ends at once
 * when the stream is cancelled, whatever the source does. One read at a time; those that come meanwhile wait.
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
   * @param convert throws what ends the stream.
   * @param failed what the reader gets of an error of the source or of `convert`.
   * @param ended called when the source is at its end; what it throws is the stream's error.
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

  /** Ends the stream: the read that waits, or else the next one, fails with this. */
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

  /** Tells the source that nobody reads on. What it throws then concerns nobody any more. */
  #leave(): void {
    const source = this.#source;
    this.#source = undefined;
    source?.return?.().catch(() => undefined);
  }
}
