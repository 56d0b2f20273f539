import type { Registration } from "../../registry/registry.ts";
import type { SubscribeOptions } from "../broker.ts";
import type { DeliveryQueue } from "../delivery-queue.ts";
import type { EventRecord } from "../event.ts";
import type { LocalSubscription } from "../local-subscription.ts";

/** The outcome of offering an event to a subscription. */
export type Acceptance = "accepted" | "full" | "gone";

/** A subscription of this broker. */
export interface HttpSubscription {
  readonly id: string;
  readonly topic: string;
  readonly queue: string | undefined;
  readonly subscription: LocalSubscription;
  readonly deliveries: DeliveryQueue;
  /** Decides about events of other processes. */
  readonly admit: SubscribeOptions["admit"];
  /** Cancels a registration in progress. */
  readonly setUp: AbortController;
  /** Resolves when the subscription is registered. Undefined until registration starts. */
  registering?: Promise<Registration>;
}

/**
 * The subscriptions of one broker, which receive events from the network and from the broker's own
 * publisher.
 */
export class HttpSubscriptions {
  readonly #byId = new Map<string, HttpSubscription>();
  /** Changes with each subscription that is added or removed. */
  version = 0;

  add(own: HttpSubscription): void {
    this.version++;
    this.#byId.set(own.id, own);
  }

  find(subscription: LocalSubscription): HttpSubscription | undefined {
    for (const own of this.#byId.values()) if (own.subscription === subscription) return own;
    return undefined;
  }

  remove(own: HttpSubscription): void {
    this.version++;
    this.#byId.delete(own.id);
  }

  has(id: string): boolean {
    return this.#byId.has(id);
  }

  /** The open subscription with an id, if it is to this topic. */
  open(id: string, topic: string): HttpSubscription | undefined {
    const own = this.#byId.get(id);
    return own?.topic === topic && !own.deliveries.sealed ? own : undefined;
  }

  all(): readonly HttpSubscription[] {
    return [...this.#byId.values()];
  }

  of(topic: string): readonly HttpSubscription[] {
    return this.all().filter((own) => own.topic === topic && !own.deliveries.sealed);
  }

  accept(id: string, record: EventRecord): Acceptance {
    const own = this.open(id, record.topic);
    if (own === undefined) return "gone";
    return own.deliveries.offer(record) ? "accepted" : "full";
  }
}
