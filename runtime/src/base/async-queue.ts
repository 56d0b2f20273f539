import { type AbortSignals, listenForAbort } from "./abort.ts";

interface Read<T> {
  resolve(result: IteratorResult<T, undefined>): void;
  reject(reason: Error): void;
}

const done: IteratorReturnResult<undefined> = { done: true, value: undefined };

/**
 * Values on their way to one reader, in order: those that wait to be read, or the reads that wait
 * for values. It has no limit of its own; what adds values decides what happens when too many wait.
 */
export class AsyncQueue<T> implements AsyncIterableIterator<T, undefined> {
  #values: T[] = [];
  #reads: Read<T>[] = [];
  #ended = false;
  #error: Error | undefined;
  #stopListening: (() => void) | undefined;

  /** Number of unread values. */
  get length(): number {
    return this.#values.length;
  }

  /** Whether a read waits for a value. */
  get isAwaited(): boolean {
    return this.#reads.length > 0;
  }

  get ended(): boolean {
    return this.#ended;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  /** Does nothing after the end. */
  push(value: T): void {
    if (this.#ended) return;
    const read = this.#reads.shift();
    if (read === undefined) this.#values.push(value);
    else read.resolve({ done: false, value });
  }

  /** Discards the unread values. */
  clear(): void {
    this.#values = [];
  }

  /** Discards the unread values and ends all reads, the first one with the error. */
  end(error?: Error): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#error = error;
    this.clear();
    this.#stopListening?.();
    for (const read of this.#reads.splice(0)) this.#conclude(read);
    this.onEnd();
  }

  /** Ends when one of the signals fires, or now if one has fired. */
  endOn(signals: AbortSignals): void {
    this.#stopListening = listenForAbort(signals, () => this.end());
  }

  next(): Promise<IteratorResult<T, undefined>> {
    return new Promise((resolve, reject) => {
      const read = { resolve, reject };
      if (this.#values.length > 0) resolve({ done: false, value: this.#values.shift()! });
      else if (this.#ended) this.#conclude(read);
      else this.#reads.push(read);
    });
  }

  async return(): Promise<IteratorResult<T, undefined>> {
    this.end();
    return done;
  }

  /** Called once, at the end. */
  protected onEnd(): void {}

  #conclude(read: Read<T>): void {
    const error = this.#error;
    this.#error = undefined;
    if (error === undefined) read.resolve(done);
    else read.reject(error);
  }
}
