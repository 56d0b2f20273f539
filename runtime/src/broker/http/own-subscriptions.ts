import type { Registration } from "../../registry/registry.ts";
import type { DeliverySubscription } from "../delivery.ts";
import type { DeliveryQueue } from "../delivery-queue.ts";
import type { EventRecord } from "../event.ts";

/** What became of an event that was offered to a subscription. */
export type Acceptance = "accepted" | "full" | "gone";

/** A subscription of this broker. */
export interface OwnSubscription {
  readonly id: string;
  readonly topic: string;
  readonly queue: string | undefined;
  readonly subscription: DeliverySubscription;
  readonly deliveries: DeliveryQueue;
  /** Undefined until the registry knows it. */
  registration?: Registration;
}

/** The subscriptions of one broker, which take events from the network and from the broker's own publisher. */
export class OwnSubscriptions {
  readonly #byId = new Map<string, OwnSubscription>();

  add(own: OwnSubscription): void {
    this.#byId.set(own.id, own);
  }

  find(subscription: DeliverySubscription): OwnSubscription | undefined {
    for (const own of this.#byId.values()) if (own.subscription === subscription) return own;
    return undefined;
  }

  remove(own: OwnSubscription): void {
    this.#byId.delete(own.id);
  }

  has(id: string): boolean {
    return this.#byId.has(id);
  }

  all(): readonly OwnSubscription[] {
    return [...this.#byId.values()];
  }

  of(topic: string): readonly OwnSubscription[] {
    return this.all().filter((own) => own.topic === topic && !own.deliveries.sealed);
  }

  accept(id: string, record: EventRecord): Acceptance {
    const own = this.#byId.get(id);
    if (own === undefined || own.topic !== record.topic || own.deliveries.sealed) return "gone";
    return own.deliveries.offer(record) ? "accepted" : "full";
  }
}
