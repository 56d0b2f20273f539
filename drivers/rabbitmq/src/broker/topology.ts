import { createHash, randomUUID } from "node:crypto";
import { noKey, partitionOf } from "@micro-es/runtime/driver";
import type { Channel, Options } from "amqplib";

/*
 * Events go to a durable topic exchange. Their routing key is the topic, and one more word: `none`
 * or the partition of the key. Queues are bound to the topic with that word or `*`, so that topics
 * never meet. Names of exchanges, queues and topics have no `=`, which joins them.
 */

/** Longer names and routing keys are refused by AMQP, in bytes. */
const maxNameBytes = 255;
/** How long the queue of a lone subscription outlives its consumer, in milliseconds. */
const loneExpiresMs = 5 * 60_000;
/**
 * How often a queue delivers an event before it drops the event itself. Without a limit, 3.10 puts
 * an event that is returned to the end of the queue, and 4.0 takes 20.
 */
const deliveryLimit = 1_000_000;
/**
 * How long a handling may take, from RabbitMQ 3.12 on; before that `consumer_timeout` of the server
 * applies. In milliseconds.
 */
const consumerTimeoutMs = 24 * 3_600_000;
const deadLetterMaxAge = "7D";
const deadLetterMaxBytes = 256 * 1024 * 1024;
/** Old dead letters are removed by segments. */
const deadLetterSegmentBytes = 16 * 1024 * 1024;

/** The exchange of a broker. */
export interface Exchange {
  readonly name: string;
  readonly durable: boolean;
}

/** The routing key of dead letters, in addition to that of their topic. */
export const deadLetterKey = "=dead";

/** A queue, and what it is bound to. */
export interface QueuePlan {
  readonly name: string;
  readonly options: Options.AssertQueue;
  /** The routing key of its binding. */
  readonly binding: string;
  /** How many events may be with a consumer. */
  readonly prefetch: number;
  /** Whether one consumer at a time gets its events, one after another. */
  readonly ordered: boolean;
  /** Whether it belongs to one subscription, and is deleted with it. */
  readonly lone: boolean;
}

/** The routing key of an event. */
export function routingKey(topic: string, key: string | undefined): string {
  return topicKey(topic, partitionOf(key));
}

/** @param part a partition, or `*` */
export function topicKey(topic: string, part: string): string {
  const whole = `${topic}.${part}`;
  // The longest part is `none`.
  return topic.length + 1 + noKey.length <= maxNameBytes ? whole : `${hashed(topic)}.${part}`;
}

/** The queue of a subscription without a group. */
export function loneQueue(exchange: string, binding: string, prefetch: number): QueuePlan {
  return {
    name: `${exchange}=${randomUUID()}`,
    // Not a quorum queue: each name of one takes up memory of the server for good. Not exclusive:
    // it would end with its connection, and its events with it.
    options: { durable: true, expires: loneExpiresMs },
    binding,
    prefetch,
    ordered: false,
    lone: true,
  };
}

/** The queue of a group in go-micro's format, exactly as go-micro declares it. */
export function goMicroQueue(
  name: string,
  topic: string,
  durable: boolean,
  prefetch: number,
): QueuePlan {
  const options = { durable, autoDelete: !durable };
  return { name, options, binding: topic, prefetch, ordered: false, lone: false };
}

/** The queue of a group for the events of a topic, or of those with one partition of the keys. */
export function groupQueue(
  exchange: string,
  queue: string,
  topic: string,
  part: string,
  prefetch: number,
): QueuePlan {
  const ordered = part !== "*" && part !== noKey;
  const suffix = part === "*" ? "" : `=${part}`;
  const name = `${exchange}=${queue}=${topic}${suffix}`;
  return {
    name: name.length <= maxNameBytes ? name : `${exchange}=${hashed(name)}`,
    options: {
      durable: true,
      arguments: {
        "x-queue-type": "quorum",
        "x-delivery-limit": deliveryLimit,
        "x-consumer-timeout": consumerTimeoutMs,
        ...(ordered ? { "x-single-active-consumer": true } : {}),
      },
    },
    binding: topicKey(topic, part),
    prefetch: ordered ? 1 : prefetch,
    ordered,
    lone: false,
  };
}

/** The stream that keeps the dead letters of all topics. */
export function deadLetterStream(exchange: string): Pick<QueuePlan, "name" | "options"> {
  return {
    name: `${exchange}${deadLetterKey}`,
    options: {
      durable: true,
      arguments: {
        "x-queue-type": "stream",
        "x-max-age": deadLetterMaxAge,
        "x-max-length-bytes": deadLetterMaxBytes,
        "x-stream-max-segment-size-bytes": deadLetterSegmentBytes,
      },
    },
  };
}

/** Declares the exchange unless it exists. @throws the library's error. */
export async function declareExchange(
  channel: Channel,
  { name, durable }: Exchange,
): Promise<void> {
  await channel.assertExchange(name, "topic", { durable });
}

/** Declares a queue with its binding unless they exist. @throws the library's error. */
export async function declareQueue(
  channel: Channel,
  exchange: Exchange,
  { name, options, binding }: Pick<QueuePlan, "name" | "options" | "binding">,
): Promise<void> {
  await declareExchange(channel, exchange);
  await channel.assertQueue(name, options);
  await channel.bindQueue(name, exchange.name, binding);
}

function hashed(text: string): string {
  return `micro-${createHash("sha256").update(text).digest("hex").slice(0, 40)}`;
}
