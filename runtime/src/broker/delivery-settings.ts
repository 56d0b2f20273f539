import { MicroError } from "../base/error.ts";
import { checkOptions } from "../base/option-check.ts";
import type { SubscribeOptions } from "./broker.ts";
import { Deduplication } from "./deduplication.ts";
import { checkQueue, checkTopic } from "./event.ts";
import { subscribeKinds } from "./option-kinds.ts";

/** Subscription options with defaults applied. */
export type DeliverySettings = Readonly<
  Required<
    Omit<
      SubscribeOptions,
      | "queue"
      | "deadLetter"
      | "signal"
      | "handlerTimeoutMs"
      | "from"
      | "maxMessageElements"
      | "admit"
      | "deduplicate"
    >
  >
> & {
  readonly queue: string | undefined;
  readonly deadLetter: string | undefined;
  /** Infinity if there is no limit. */
  readonly handlerTimeoutMs: number;
  /** Undefined if every delivery is handled. */
  readonly deduplication: Deduplication | undefined;
};

/**
 * Validates a subscription's topic and options, for a broker that keeps no events to start `from`.
 * @throws MicroError `invalid_argument` that names the option; `unimplemented` for `from`.
 */
export function deliverySettings(topic: string, options: SubscribeOptions = {}): DeliverySettings {
  checkTopic(topic);
  checkOptions(`subscribe to ${topic}`, options, subscribeKinds);
  if (options.from !== undefined) {
    throw new MicroError(
      "unimplemented",
      `cannot subscribe to ${topic} from an earlier time: this broker keeps no events; use one with guarantees.replay`,
      { outcome: "not-executed" },
    );
  }
  if (options.queue !== undefined) checkQueue(options.queue);
  if (options.deadLetter !== undefined) checkTopic(options.deadLetter);
  if (options.deadLetter === topic) {
    throw new MicroError(
      "invalid_argument",
      `deadLetter of the subscription to ${topic} is that topic itself; name another`,
      { outcome: "not-executed" },
    );
  }
  return {
    queue: options.queue,
    maxInFlight: options.maxInFlight ?? 64,
    maxPending: options.maxPending ?? 1024,
    maxDeliveries: options.maxDeliveries ?? 5,
    redeliveryBackoffMs: options.redeliveryBackoffMs ?? 100,
    handlerTimeoutMs: options.handlerTimeoutMs ?? Number.POSITIVE_INFINITY,
    propagate: options.propagate ?? [],
    deadLetter: options.deadLetter,
    deduplication:
      options.deduplicate === undefined
        ? undefined
        : new Deduplication(topic, options.deduplicate, options.queue),
  };
}
