import type {
  Broker,
  DeadLetters,
  EventHandler,
  PublishOptions,
  SubscribeOptions,
  Subscription,
} from "@micro-es/runtime";
import {
  type BrokerGuarantees,
  byteCountUpTo,
  checkOptions,
  DeliveryQueue,
  defaultMaxPendingBytes,
  deliverySettings,
  durationMs,
  type EventRecord,
  LinkedBroker,
  type LinkedBrokerOptions,
  LocalSubscription,
  linkedBrokerKinds,
  type OutgoingEvent,
  omitUndefined,
  oneOf,
  subscribeKinds,
} from "@micro-es/runtime/driver";
import { redisFailure } from "../link/failure.ts";
import { RedisLink } from "../link/link.ts";
import { redisPartKinds } from "../link/options.ts";
import { prefixKind, type RedisPartOptions } from "../link/part.ts";
import { RedisDeadLetters } from "./dead-letters.ts";
import { GroupReader } from "./group-reader.ts";
import { EventKeys, startAfter } from "./layout.ts";
import { LoneReader } from "./lone-reader.ts";
import { EventPublisher, type Publication } from "./publisher.ts";

/** Options of {@link redisBroker}. */
export type RedisBrokerOptions = RedisPartOptions &
  LinkedBrokerOptions & {
    /**
     * `key` preserves the order of events with the same key across all members of a queue group,
     * including redeliveries: keys map to 16 partitions, each of which has one event handled at a
     * time. All publishers and subscribers of a topic must use the same value. Default `none`.
     */
    readonly ordering?: "none" | "key";
    /** Maximum size of an event's body, in bytes. Default 4,194,304. */
    readonly maxEventBytes?: number;
    /**
     * Events are removed after this time once every queue group has handled them, in milliseconds.
     * Default 7 days.
     */
    readonly maxAgeMs?: number;
    /**
     * An event that is published again with the same id within this time is stored once, in
     * milliseconds. Default 120,000.
     */
    readonly duplicateWindowMs?: number;
    /**
     * The events of a subscriber that is silent for this long are redelivered to others, in
     * milliseconds. Default 30,000.
     */
    readonly ackWaitMs?: number;
  };

const week = 7 * 24 * 3_600_000;
const mostEventBytes = 256 * 1024 * 1024;

/**
 * A broker on the streams of Redis 7 and later, or Valkey: at least once. Publishing resolves when
 * the server has the event, which is as durable as the server: see the option `durability`. A queue
 * group is a consumer group, which keeps its position while it has no members; a subscription
 * without one receives events from when it starts, as long as it lasts. A failed handling is
 * retried here; the event of a process that dies is redelivered elsewhere, after `ackWaitMs`.
 * Handlers may take as long as they like.
 *
 * An event that is published twice with an id of the publisher's on one topic is stored once.
 *
 * @throws MicroError `invalid_argument` for invalid options.
 * @example
 * ```ts
 * import { redisBroker } from "@micro-es/redis";
 * import { createService } from "@micro-es/runtime";
 *
 * const broker = redisBroker({ servers: "127.0.0.1:6379", durability: "process-crash" });
 * const service = createService({ name: "stats", broker });
 * ```
 */
export function redisBroker(options: RedisBrokerOptions = {}): Broker {
  checkOptions("redisBroker", options, {
    ...redisPartKinds,
    ...linkedBrokerKinds,
    prefix: prefixKind,
    ordering: oneOf("none", "key"),
    maxEventBytes: byteCountUpTo(mostEventBytes),
    maxAgeMs: durationMs(1, Number.MAX_SAFE_INTEGER),
    duplicateWindowMs: durationMs(1, Number.MAX_SAFE_INTEGER),
    ackWaitMs: durationMs(100),
  });
  return new RedisBroker(options);
}

class RedisBroker extends LinkedBroker<RedisLink> implements Broker {
  readonly name = "redis";
  readonly keepsEvents = true;
  readonly keepsDeadLetters = true;
  readonly guarantees: BrokerGuarantees;
  readonly deadLetters: DeadLetters;
  readonly #keys: EventKeys;
  readonly #ackWaitMs: number;
  readonly #publisher: EventPublisher;

  constructor(options: RedisBrokerOptions) {
    const { link, prefix = "micro", ...others } = options;
    super(link, () => new RedisLink(others), others);
    const { ordering = "none", maxEventBytes = 4 * 1024 * 1024 } = options;
    this.#keys = new EventKeys(prefix);
    this.#ackWaitMs = options.ackWaitMs ?? 30_000;
    this.#publisher = new EventPublisher({
      link: this.link,
      keys: this.#keys,
      isOrdered: ordering === "key",
      maxAgeMs: options.maxAgeMs ?? week,
      duplicateWindowMs: options.duplicateWindowMs ?? 120_000,
    });
    this.deadLetters = new RedisDeadLetters({
      link: this.link,
      keys: this.#keys,
      maxEventBytes,
      ...this.deadLetterHost,
    });
    this.guarantees = {
      delivery: "at-least-once",
      ordering,
      durability: this.link.durability,
      queueGroups: true,
      redelivery: true,
      attempts: "backend",
      unheard: "kept",
      deadLetter: true,
      overflow: "block",
      replay: true,
      maxEventBytes,
    };
  }

  override publish(topic: string, event: OutgoingEvent, options?: PublishOptions): Promise<void> {
    // An event that caused this one may be the options, whose properties are not its own.
    const { signal, context, deadline } = options ?? {};
    const publication: Publication = {
      ...omitUndefined({ signal, context, deadline }),
      hasId: event.id !== undefined,
    };
    return super.publish(topic, event, publication);
  }

  override async publishDeadLetter(record: EventRecord, queue: string | undefined): Promise<void> {
    const what = `publish a dead letter on ${record.topic}`;
    await this.link.send("SADD", [this.#keys.deadTopics, record.topic], what);
    await this.#publisher.send(record, { queue: queue ?? "", isDeadLetter: true });
  }

  async subscribe(
    topic: string,
    handler: EventHandler,
    options: SubscribeOptions = {},
  ): Promise<Subscription> {
    const what = `subscribe to ${topic}`;
    this.check(what, options.signal);
    checkOptions(what, options, subscribeKinds);
    const { from = "new", ...others } = options;
    const settings = deliverySettings(topic, others);
    const start = startAfter(from);
    const { queue } = settings;
    const deliveries = new DeliveryQueue(topic, defaultMaxPendingBytes);
    const { maxEventBytes } = this.guarantees;
    const { link, logger } = this;
    const intake = { topic, settings, maxEventBytes, deliveries, logger };
    const stream = this.#keys.stream(topic);
    const isOrdered = this.guarantees.ordering === "key";
    const partitions = isOrdered ? this.#keys.partitions(topic) : [];
    const silenceMs = this.#ackWaitMs;
    const reader =
      queue === undefined
        ? new LoneReader(link, [stream, ...partitions], start, intake)
        : new GroupReader({ ...intake, link, group: queue, stream, partitions, start, silenceMs });
    const subscription = new LocalSubscription(topic, handler, settings, deliveries, this);
    return this.established(what, subscription, [reader], () => reader.begin(), options.signal);
  }

  protected override failure(error: unknown, what: string): Error {
    return redisFailure(error, what);
  }

  protected override send(record: EventRecord, options: PublishOptions): Promise<void> {
    return this.#publisher.send(record, options);
  }
}
