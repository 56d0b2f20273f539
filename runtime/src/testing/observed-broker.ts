import { throwIfAborted } from "../base/abort.ts";
import type { BackendState, StateListener } from "../base/backend-state.ts";
import { asMicroError } from "../base/error.ts";
import type {
  Broker,
  BrokerGuarantees,
  EventHandler,
  IncomingEvent,
  OutgoingEvent,
  PublishOptions,
  SubscribeOptions,
  Subscription,
} from "../broker/broker.ts";
import type { DeadLetters } from "../broker/dead-letter-admin.ts";
import type { Awaitable } from "../call/call.ts";
import { ObservedSubscription } from "./observed-subscription.ts";
import type { PlannedFailures } from "./planned-failures.ts";

/** Receives reports about the events of an {@link ObservedBroker}. */
export interface BrokerObserver {
  published(topic: string, event: OutgoingEvent): void;
  subscribed(subscription: Subscription): void;
  unsubscribed(subscription: Subscription): void;
  /** A handler handled the event, or failed with an error that is never undefined. */
  handled(event: IncomingEvent, subscriber: object, error: unknown): void;
}

/**
 * A broker that reports what is published and handled, and whose publications encounter planned
 * failures.
 */
export class ObservedBroker implements Broker {
  readonly deadLetters?: DeadLetters;
  readonly #inner: Broker;
  readonly #failures: PlannedFailures;
  readonly #observer: BrokerObserver;
  readonly #defaults: SubscribeOptions;
  readonly #subscriptions = new Set<ObservedSubscription>();

  /** @param defaults defaults for the options of subscriptions. */
  constructor(
    inner: Broker,
    failures: PlannedFailures,
    observer: BrokerObserver,
    defaults: SubscribeOptions = {},
  ) {
    this.#inner = inner;
    this.#failures = failures;
    this.#observer = observer;
    this.#defaults = defaults;
    if (inner.deadLetters !== undefined) this.deadLetters = inner.deadLetters;
  }

  get name(): string {
    return this.#inner.name;
  }

  get guarantees(): BrokerGuarantees {
    return this.#inner.guarantees;
  }

  get state(): BackendState {
    return this.#inner.state;
  }

  onStateChange(listener: StateListener): () => void {
    return this.#inner.onStateChange(listener);
  }

  async publish(topic: string, event: OutgoingEvent, options?: PublishOptions): Promise<void> {
    const signal = options?.signal;
    throwIfAborted(signal);
    const failure = this.#failures.take(topic);
    if (failure?.when === "before") throw failure.error;
    // The body is the publisher's buffer, which it may overwrite.
    const published =
      event?.body instanceof Uint8Array ? { ...event, body: event.body.slice() } : event;
    await this.#inner.publish(topic, event, options);
    this.#observer.published(topic, published);
    if (signal?.aborted === true) {
      throw asMicroError(signal.reason, "canceled", { outcome: "unknown" });
    }
    if (failure !== undefined) throw failure.error;
  }

  async subscribe(
    topic: string,
    handler: EventHandler,
    options?: SubscribeOptions,
  ): Promise<Subscription> {
    const subscriber = {};
    const report = (event: IncomingEvent, error: unknown) =>
      this.#observer.handled(event, subscriber, error);
    const reporting: EventHandler = (event) => observe(handler, event, report);
    const subscription = await this.#inner.subscribe(topic, reporting, {
      ...this.#defaults,
      ...options,
    });
    // If the signal fired meanwhile, the broker itself closes the subscription.
    throwIfAborted(options?.signal);
    const observed = new ObservedSubscription(subscription, options?.signal, () => {
      if (this.#subscriptions.delete(observed)) this.#observer.unsubscribed(observed);
    });
    this.#subscriptions.add(observed);
    this.#observer.subscribed(observed);
    return observed;
  }

  async close(): Promise<void> {
    await this.#inner.close();
    for (const subscription of [...this.#subscriptions]) subscription.brokerClosed();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

function observe(
  handler: EventHandler,
  event: IncomingEvent,
  report: (event: IncomingEvent, error: unknown) => void,
): Awaitable<void> {
  const failed = (reason: unknown): never => {
    report(event, reason ?? new Error(`a handler threw ${reason}`));
    throw reason;
  };
  try {
    const handling = handler(event);
    // A handler in JavaScript may return anything.
    if (typeof handling?.then === "function") {
      return handling.then(() => report(event, undefined), failed);
    }
    report(event, undefined);
  } catch (reason) {
    failed(reason);
  }
}
