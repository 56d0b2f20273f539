import { AsyncQueue } from "../base/async-queue.ts";

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

class Subscription<T> extends AsyncQueue<T> {
  readonly #accepts: (value: T) => boolean;
  readonly #onEnd: () => void;

  constructor(options: SubscribeOptions<T>, onEnd: () => void) {
    super();
    this.#accepts = options.accepts ?? (() => true);
    this.#onEnd = onEnd;
  }

  offer(value: T): void {
    // A reader with an untaken value gets the newer one instead, even if it does not accept it: it
    // is the last.
    if (!this.#accepts(value) && this.length === 0) return;
    this.clear();
    this.push(value);
  }

  protected override onEnd(): void {
    this.#onEnd();
  }
}
