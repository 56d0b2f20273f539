import { MicroError } from "../base/error.ts";
import type { Broker, Subscription } from "../broker/broker.ts";
import type { Topic } from "../broker/topic.ts";
import type { Awaitable } from "../call/call.ts";
import type { AnyCodec } from "../codec/codec.ts";
import { type EventHandling, interceptEvent, type ServerInterception } from "./interceptors.ts";
import type { EventContext, SubscriberOptions } from "./server.ts";

/** A topic with its handler, and how to subscribe. */
export interface Subscriber {
  readonly topic: string;
  readonly codec: AnyCodec;
  readonly options: SubscriberOptions;
  subscribe(broker: Broker): Promise<Subscription>;
}

/**
 * Creates the subscriber that a server starts; the broker logs failures of the handler and
 * redelivers the events.
 */
export function createSubscriber<M, I>(
  topic: Topic<M, I>,
  handler: (message: M, context: EventContext) => Awaitable<void>,
  options: SubscriberOptions,
  propagate: readonly string[],
  interceptors: readonly ServerInterception[],
): Subscriber {
  const { name, service: _service, ...subscribeOptions } = options;
  const intercepted =
    interceptors.length === 0
      ? handler
      : interceptEvent(handler as EventHandling, interceptors, name ?? topic.name);
  return {
    topic: topic.name,
    codec: topic.codec as AnyCodec,
    options,
    subscribe: (broker) => topic.subscribe(broker, intercepted, { propagate, ...subscribeOptions }),
  };
}

/** The error of a subscriber in a server without a broker. */
export function noBroker(server: string, topic: string): MicroError {
  return new MicroError(
    "failed_precondition",
    `server ${server} cannot subscribe to ${topic}: it was built without a broker`,
    { outcome: "not-executed" },
  );
}
