import { listenForAbort } from "../base/abort.ts";
import type { Subscription, SubscriptionStats } from "../broker/broker.ts";

/** A subscription that reports when it has closed, including through its signal. */
export class ObservedSubscription implements Subscription {
  readonly #inner: Subscription;
  readonly #onClosed: (subscription: Subscription) => void;
  readonly #stopListening: () => void;
  #closing: Promise<void> | undefined;

  constructor(
    inner: Subscription,
    signal: AbortSignal | undefined,
    onClosed: (subscription: Subscription) => void,
  ) {
    this.#inner = inner;
    this.#onClosed = onClosed;
    // The broker closes the subscription when the signal fires, and reports any failure of that.
    this.#stopListening = listenForAbort(signal, () => void this.close().catch(() => {}));
  }

  get topic(): string {
    return this.#inner.topic;
  }

  get queue(): string | undefined {
    return this.#inner.queue;
  }

  get stats(): SubscriptionStats {
    return this.#inner.stats;
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    try {
      await this.#inner.close();
    } finally {
      this.#stopListening();
      this.#onClosed(this);
    }
  }
}
