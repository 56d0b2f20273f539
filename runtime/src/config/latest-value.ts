import { listenForAbort } from "../base/abort.ts";

/** Which values a subscription accepts, and when it ends. */
export interface SubscribeOptions<T> {
  readonly signal?: AbortSignal | undefined;
  /** Whether a value wakes the reader. Default: every value. */
  readonly accepts?: (value: T) => boolean;
  readonly onEnd?: () => void;
}

/**
 * Delivers values to any number of readers, each at its own pace: a slow reader misses intermediate
 * values but never the last one. A subscription starts when it is created.
 */
export class LatestValue<T> {
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
    this.#subscriptions.add(subscription);
    if (this.#closed) subscription.end();
    else subscription.endOn(options.signal);
    return subscription;
  }

  /** Ends all subscriptions, and any later ones immediately. */
  close(): void {
    this.#closed = true;
    for (const subscription of this.#subscriptions) subscription.end();
  }
}

class Subscription<T> implements AsyncIterableIterator<T> {
  readonly #accepts: (value: T) => boolean;
  readonly #onEnd: () => void;
  readonly #waiting: ((result: IteratorResult<T, undefined>) => void)[] = [];
  #pending: { readonly value: T } | undefined;
  #ended = false;
  #stopListening: (() => void) | undefined;

  constructor(options: SubscribeOptions<T>, onEnd: () => void) {
    this.#accepts = options.accepts ?? (() => true);
    this.#onEnd = onEnd;
  }

  endOn(signal: AbortSignal | undefined): void {
    this.#stopListening = listenForAbort(signal, () => this.end());
  }

  offer(value: T): void {
    // A reader with an untaken value gets the newer one instead, even if it does not accept it: it
    // is the last.
    if (!this.#accepts(value) && this.#pending === undefined) return;
    const waiting = this.#waiting.shift();
    if (waiting === undefined) this.#pending = { value };
    else waiting({ done: false, value });
  }

  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#pending = undefined;
    this.#stopListening?.();
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
