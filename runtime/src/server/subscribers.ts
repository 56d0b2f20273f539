import type { Broker, Subscription } from "../broker/broker.ts";
import type { Topic } from "../broker/topic.ts";
import type { Awaitable } from "../call.ts";
import type { AnyCodec } from "../codec/codec.ts";
import { MicroError } from "../error.ts";
import type { EventContext, SubscriberOptions } from "./server.ts";

/** A topic with what takes its events, and how to begin. */
export interface Subscriber {
  readonly topic: string;
  readonly codec: AnyCodec;
  readonly options: SubscriberOptions;
  subscribe(broker: Broker): Promise<Subscription>;
}

/** What a server subscribes with when it starts; the broker logs and redelivers what the handler fails at. */
export function createSubscriber<M, I>(
  topic: Topic<M, I>,
  handler: (message: M, context: EventContext) => Awaitable<void>,
  options: SubscriberOptions,
  propagate: readonly string[],
): Subscriber {
  const { name: _name, service: _service, ...subscribeOptions } = options;
  return {
    topic: topic.name,
    codec: topic.codec as AnyCodec,
    options,
    subscribe: (broker) => topic.subscribe(broker, handler, { propagate, ...subscribeOptions }),
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
