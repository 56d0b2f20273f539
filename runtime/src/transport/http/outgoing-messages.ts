/**
 * The requests of a stream for Connect, which pulls them as the connection accepts them. If the
 * call ends first, their iterator is closed.
 */
export class OutgoingMessages<A, B> implements AsyncIterableIterator<B> {
  readonly #messages: AsyncIterable<A> | Iterable<A>;
  readonly #convert: (message: A) => B;
  readonly #failed: (reason: unknown) => void;
  #source: AsyncIterator<A> | Iterator<A> | undefined;
  #over = false;

  /** @param failed called with what the source or `convert` throws. */
  constructor(
    messages: AsyncIterable<A> | Iterable<A>,
    convert: (message: A) => B,
    failed: (reason: unknown) => void,
  ) {
    this.#messages = messages;
    this.#convert = convert;
    this.#failed = failed;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async next(): Promise<IteratorResult<B>> {
    if (this.#over) return { done: true, value: undefined };
    try {
      this.#source ??= open(this.#messages);
      const step = await this.#source.next();
      if (step.done !== true) return { done: false, value: this.#convert(step.value) };
      this.#source = undefined;
      this.#over = true;
      return { done: true, value: undefined };
    } catch (reason) {
      const ended = this.#over;
      this.leave();
      if (!ended) this.#failed(reason);
      throw reason;
    }
  }

  async return(): Promise<IteratorResult<B>> {
    this.leave();
    return { done: true, value: undefined };
  }

  /** Called by Connect for a call that has failed. */
  async throw(reason: unknown): Promise<IteratorResult<B>> {
    this.leave();
    throw reason;
  }

  /**
   * Ends the requests because the call has ended. An error that the source then throws is ignored.
   */
  leave(): void {
    if (this.#over) return;
    this.#over = true;
    const source = this.#source;
    this.#source = undefined;
    try {
      const left = source?.return?.();
      if (left instanceof Promise) left.catch(() => undefined);
    } catch {
      // As above.
    }
  }
}

function open<T>(messages: AsyncIterable<T> | Iterable<T>): AsyncIterator<T> | Iterator<T> {
  return Symbol.asyncIterator in messages
    ? messages[Symbol.asyncIterator]()
    : messages[Symbol.iterator]();
}
