import { MicroError } from "@micro-es/runtime";
import { type EventRecord, noKey, partitions } from "@micro-es/runtime/driver";
import type { Message, Options } from "amqplib";
import { decodeGoMicroMessage, encodeGoMicroProperties } from "./go-micro-message.ts";
import { decodeMessage, encodeProperties, type PastHandlings } from "./message.ts";
import {
  type Exchange,
  goMicroQueue,
  groupQueue,
  loneQueue,
  type QueuePlan,
  routingKey,
  topicKey,
} from "./topology.ts";

/** How events become messages and queues: as this package does it, or go-micro. */
export interface EventLayout {
  readonly exchange: Exchange;
  /** Whether the events of a group outlive the server and the group's members. */
  readonly durable: boolean;
  routingKey(topic: string, key: string | undefined): string;
  /** The queues of a subscription. @throws MicroError if it cannot have any. */
  queuesOf(topic: string, queue: string | undefined, prefetch: number): readonly QueuePlan[];
  encode(record: EventRecord, past?: PastHandlings): Options.Publish;
  /** @throws MicroError when the message is not a valid event. */
  decode(topic: string, message: Message, maxEventBytes: number): EventRecord;
}

/** What decides on a layout. */
export interface LayoutOptions {
  readonly exchange?: string;
  readonly ordering?: "none" | "key";
  readonly format?: "headers" | "go-micro";
  readonly durableQueues?: boolean;
}

/** @throws MicroError `invalid_argument` for options that contradict each other. */
export function layoutOf(options: LayoutOptions): EventLayout {
  const { format, ordering = "none", durableQueues } = options;
  if (format === "go-micro") {
    if (ordering === "key") throw invalid("ordering: key is not possible in go-micro's format");
    return goMicroLayout(options.exchange ?? "micro", durableQueues === true);
  }
  if (durableQueues !== undefined) throw invalid("durableQueues is for the format go-micro");
  return ownLayout(options.exchange ?? "micro.events", ordering);
}

function ownLayout(exchange: string, ordering: "none" | "key"): EventLayout {
  const parts = ordering === "key" ? [noKey, ...partitions] : ["*"];
  return {
    exchange: { name: exchange, durable: true },
    durable: true,
    routingKey,
    queuesOf: (topic, queue, prefetch) =>
      queue === undefined
        ? [loneQueue(exchange, topicKey(topic, "*"), prefetch)]
        : parts.map((part) => groupQueue(exchange, queue, topic, part, prefetch)),
    encode: encodeProperties,
    decode: decodeMessage,
  };
}

function goMicroLayout(exchange: string, durable: boolean): EventLayout {
  /** The topic of each group, whose queue has the group's name. */
  const topics = new Map<string, string>();
  return {
    exchange: { name: exchange, durable: false },
    durable,
    routingKey: (topic) => topic,
    queuesOf(topic, queue, prefetch) {
      if (queue === undefined) return [loneQueue(exchange, topic, prefetch)];
      const other = topics.get(queue) ?? topic;
      if (other !== topic) {
        throw invalid(
          `the queue ${queue} is that of ${other} already, and in go-micro's format a queue has the events of all topics that it is used for; use another one for ${topic}`,
        );
      }
      topics.set(queue, topic);
      return [goMicroQueue(queue, topic, durable, prefetch)];
    },
    encode: encodeGoMicroProperties,
    decode: decodeGoMicroMessage,
  };
}

function invalid(message: string): MicroError {
  return new MicroError("invalid_argument", message, { outcome: "not-executed" });
}
