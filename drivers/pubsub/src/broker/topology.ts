import { MicroError } from "@micro-es/runtime";
import type { SubscriptionInit } from "../gen/google/pubsub/v1/pubsub_codec.ts";
import {
  Publisher_createTopic,
  Subscriber_createSubscription,
  Subscriber_deleteSubscription,
  Subscriber_getSubscription,
} from "../gen/google/pubsub/v1/pubsub_micro.ts";
import { pubSubFailure } from "../link/failure.ts";
import type { PubSubLink } from "../link/link.ts";

const day = 24 * 3_600;

/** A subscription, and what it is created with. */
export interface SubscriptionPlan {
  /** `projects/P/subscriptions/S` */
  readonly name: string;
  /** `projects/P/topics/T` */
  readonly topic: string;
  /** Whether the service preserves the order of messages with the same key. */
  readonly isOrdered: boolean;
  /** Whether it belongs to one subscriber, and is deleted with it. */
  readonly isLone: boolean;
}

/** Creates a topic unless it exists. @throws MicroError */
export async function createTopic(link: PubSubLink, name: string): Promise<void> {
  const what = `create the topic ${name}`;
  try {
    await link.call(Publisher_createTopic, { name }, { what, route: ["name", name] });
  } catch (error) {
    if (codeOf(error, what) !== "already_exists") throw error;
  }
}

/**
 * Creates a subscription, and its topic, unless they exist. A subscription that exists must be of
 * this topic and this order. Without the right to look at it, it is taken to be correct.
 * @throws MicroError `failed_precondition` if it is not.
 */
export async function createSubscription(link: PubSubLink, plan: SubscriptionPlan): Promise<void> {
  if (!plan.isLone && (await hasSubscription(link, plan))) return;
  try {
    await create(link, plan);
  } catch (error) {
    if (codeOf(error, "") !== "not_found") throw error;
    await createTopic(link, plan.topic);
    await create(link, plan);
  }
}

export async function deleteSubscription(link: PubSubLink, name: string): Promise<void> {
  const what = `delete the subscription ${name}`;
  try {
    const route = ["subscription", name] as const;
    await link.call(Subscriber_deleteSubscription, { subscription: name }, { what, route });
  } catch (error) {
    if (codeOf(error, what) !== "not_found") throw error;
  }
}

async function hasSubscription(link: PubSubLink, plan: SubscriptionPlan): Promise<boolean> {
  const { name, topic, isOrdered } = plan;
  const what = `look at the subscription ${name}`;
  try {
    const route = ["subscription", name] as const;
    const found = await link.call(
      Subscriber_getSubscription,
      { subscription: name },
      { what, route },
    );
    if (found.topic !== topic) {
      throw mismatch(`${name} is a subscription of ${found.topic}, not of ${topic}; delete it`);
    }
    if (found.enableMessageOrdering !== isOrdered) {
      const [is, due] = found.enableMessageOrdering ? ["with", "without"] : ["without", "with"];
      throw mismatch(
        `${name} was created ${is} the order of keys, and is used ${due} it; use one value of the option ordering, or delete the subscription`,
      );
    }
    return true;
  } catch (error) {
    const code = codeOf(error, what);
    if (code === "permission_denied") return true;
    if (code === "not_found") return false;
    throw error;
  }
}

async function create(link: PubSubLink, plan: SubscriptionPlan): Promise<void> {
  const { name, topic, isOrdered, isLone } = plan;
  const what = `create the subscription ${name}`;
  const subscription: SubscriptionInit = {
    name,
    topic,
    ackDeadlineSeconds: 10,
    enableMessageOrdering: isOrdered,
    // One that nothing uses is deleted after a day, which is the least, or never.
    expirationPolicy: isLone ? { ttl: { seconds: BigInt(day) } } : {},
  };
  try {
    await link.call(Subscriber_createSubscription, subscription, { what, route: ["name", name] });
  } catch (error) {
    if (codeOf(error, what) !== "already_exists") throw error;
  }
}

function codeOf(error: unknown, what: string): string {
  return pubSubFailure(error, what).code;
}

function mismatch(message: string): MicroError {
  return new MicroError("failed_precondition", message, { outcome: "not-executed" });
}
