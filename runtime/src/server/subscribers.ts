import {
  type Broker,
  type EventHandler,
  EventRejected,
  type SubscribeOptions,
  type Subscription,
} from "../broker/broker.ts";
import type { Topic } from "../broker/topic.ts";
import type { Awaitable } from "../call.ts";
import { MicroError } from "../error.ts";
import type { Logger } from "../logger.ts";
import { describe } from "./faults.ts";
import type { EventContext, SubscriberOptions } from "./server.ts";

/** A topic with what takes its events, and how to begin. */
export interface Subscriber {
  readonly topic: string;
  readonly options: SubscriberOptions;
  subscribe(broker: Broker): Promise<Subscription>;
}

/**
 * A subscriber whose failures are logged: a broker counts them and delivers again, and nobody else would
 * learn why.
 */
export function createSubscriber<M, I>(
  topic: Topic<M, I>,
  handler: (message: M, context: EventContext) => Awaitable<void>,
  options: SubscriberOptions,
  defaults: { readonly propagate: readonly string[]; readonly logger: Logger },
): Subscriber {
  const { name: _name, service: _service, ...given } = options;
  const subscribeOptions: SubscribeOptions = { propagate: defaults.propagate, ...given };
  return {
    topic: topic.name,
    options,
    subscribe: (broker) =>
      topic.subscribe(
        logged(broker, options.name ?? topic.name, defaults.logger),
        handler,
        subscribeOptions,
      ),
  };
}

/** The broker, for one subscription, with a log of what its handler throws and of what does not decode. */
function logged(broker: Broker, subscriber: string, logger: Logger): Pick<Broker, "subscribe"> {
  return {
    subscribe(topic, handler, options) {
      const handle: EventHandler = async (event) => {
        try {
          await handler(event);
        } catch (reason) {
          const rejected = reason instanceof EventRejected;
          logger[rejected ? "warn" : "error"](
            { subscriber, topic, event: event.id, attempt: event.attempt, error: describe(reason) },
            rejected ? "an event was rejected" : "a subscriber failed",
          );
          throw reason;
        }
      };
      return broker.subscribe(topic, handle, options);
    },
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
