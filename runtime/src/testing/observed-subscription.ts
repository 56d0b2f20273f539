import { listenForAbort } from "../base/abort.ts";
import type { Subscription, SubscriptionStats } from "../broker/broker.ts";

/** A subscription that reports when it has closed, including through its signal. */
export class ObservedSubscription implements Subscription {
  readonly #inner: Subscription;
  readonly #onClosed: () => void;
  readonly #stopListening: () => void;

  constructor(inner: Subscription, signal: AbortSignal | undefined, onClosed: () => void) {
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

  /** Asks the broker each time, because a handler waits for less than other callers. */
  async close(): Promise<void> {
    try {
      await this.#inner.close();
    } finally {
      this.brokerClosed();
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Reports the end of a subscription that its broker has closed. */
  brokerClosed(): void {
    this.#stopListening();
    this.#onClosed();
  }
}
