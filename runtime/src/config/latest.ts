/** Who takes what is published, and when a subscription ends. */
export interface SubscribeOptions<T> {
  readonly signal?: AbortSignal | undefined;
  /** Whether a value is one to wake the reader for. Default: each is. */
  readonly accepts?: (value: T) => boolean;
  readonly onEnd?: () => void;
}

/**
 * Hands values to any number of readers, each at its own pace: a slow one misses values in between and never
 * the last. A subscription begins with the call that makes it.
 */
export class Latest<T> {
  readonly #subscriptions = new Set<Subscription<T>>();
  #closed = false;

  get readers(): number {
    return this.#subscriptions.size;
  }

  publish(value: T): void {
    for (const subscription of this.#subscriptions) subscription.offer(value);
  }

  subscribe(options: SubscribeOptions<T> = {}): AsyncIterableIterator<T> {
    const subscription = new Subscription<T>(options, () => {
      this.#subscriptions.delete(subscription);
      options.onEnd?.();
    });
    if (this.#closed || options.signal?.aborted === true) subscription.end();
    else this.#subscriptions.add(subscription);
    return subscription;
  }

  /** Ends all subscriptions, and those that come later. */
  close(): void {
    this.#closed = true;
    for (const subscription of this.#subscriptions) subscription.end();
  }
}

class Subscription<T> implements AsyncIterableIterator<T> {
  readonly #accepts: (value: T) => boolean;
  readonly #signal: AbortSignal | undefined;
  readonly #onEnd: () => void;
  readonly #abort = (): void => this.end();
  readonly #waiting: ((result: IteratorResult<T, undefined>) => void)[] = [];
  #pending: { readonly value: T } | undefined;
  #ended = false;

  constructor(options: SubscribeOptions<T>, onEnd: () => void) {
    this.#accepts = options.accepts ?? (() => true);
    this.#signal = options.signal;
    this.#onEnd = onEnd;
    this.#signal?.addEventListener("abort", this.#abort, { once: true });
  }

  offer(value: T): void {
    // A reader that has not yet taken one value gets the newer instead, wanted or not: it is the last.
    if (!this.#accepts(value) && this.#pending === undefined) return;
    const waiting = this.#waiting.shift();
    if (waiting === undefined) this.#pending = { value };
    else waiting({ done: false, value });
  }

  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#pending = undefined;
    this.#signal?.removeEventListener("abort", this.#abort);
    for (const waiting of this.#waiting.splice(0)) waiting({ done: true, value: undefined });
    this.#onEnd();
  }

  async next(): Promise<IteratorResult<T, undefined>> {
    const pending = this.#pending;
    this.#pending = undefined;
    if (pending !== undefined) return { done: false, value: pending.value };
    if (this.#ended) return { done: true, value: undefined };
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  async return(): Promise<IteratorResult<T, undefined>> {
    this.end();
    return { done: true, value: undefined };
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}
