import {
  type Broker,
  createLogger,
  type DeadLetters,
  type EventHandler,
  type Logger,
  type PublishOptions,
  type SubscribeOptions,
  type Subscription,
} from "@micro-es/runtime";
import {
  type BrokerGuarantees,
  byteCountUpTo,
  checkOptions,
  closeForCaller,
  type DeliveryHost,
  DeliveryQueue,
  defaultCloseGraceMs,
  defaultMaxPendingBytes,
  deliverySettings,
  durationMs,
  type EventRecord,
  eventRecord,
  LocalSubscription,
  logger as loggerKind,
  type OutgoingEvent,
  oneOf,
  PartLogger,
  subscribeKinds,
  untilAborted,
} from "@micro-es/runtime/driver";
import { redisPartKinds } from "../link/options.ts";
import { prefixKind, RedisPart, type RedisPartOptions } from "../link/part.ts";
import { RedisDeadLetters } from "./dead-letters.ts";
import type { EventReader } from "./event-source.ts";
import { GroupReader } from "./group-reader.ts";
import { EventKeys, startAfter } from "./layout.ts";
import { LoneReader } from "./lone-reader.ts";
import { EventPublisher } from "./publisher.ts";

/** Options of {@link redisBroker}. */
export type RedisBrokerOptions = RedisPartOptions & {
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
  /** How long a closing subscription waits for its handlers, in milliseconds. Default 10,000. */
  readonly closeGraceMs?: number;
  readonly logger?: Logger;
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
    prefix: prefixKind,
    ordering: oneOf("none", "key"),
    maxEventBytes: byteCountUpTo(mostEventBytes),
    maxAgeMs: durationMs(1, Number.MAX_SAFE_INTEGER),
    duplicateWindowMs: durationMs(1, Number.MAX_SAFE_INTEGER),
    ackWaitMs: durationMs(100),
    closeGraceMs: durationMs(0),
    logger: loggerKind,
  });
  return new RedisBroker(options);
}

class RedisBroker extends RedisPart implements Broker, DeliveryHost {
  readonly name = "redis";
  readonly keepsEvents = true;
  readonly keepsDeadLetters = true;
  readonly guarantees: BrokerGuarantees;
  readonly deadLetters: DeadLetters;
  readonly logger: PartLogger;
  readonly closeGraceMs: number;
  readonly #keys: EventKeys;
  readonly #ackWaitMs: number;
  readonly #publisher: EventPublisher;
  readonly #readers = new Map<LocalSubscription, EventReader>();

  constructor(options: RedisBrokerOptions) {
    super(options, "broker");
    const { ordering = "none", maxEventBytes = 4 * 1024 * 1024 } = options;
    this.logger = new PartLogger(options.logger, createLogger());
    this.closeGraceMs = options.closeGraceMs ?? defaultCloseGraceMs;
    this.#keys = new EventKeys(this.prefix);
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
      check: (what, signal) => this.check(what, signal),
      publish: (record, signal) =>
        this.#publisher.send(record, signal === undefined ? {} : { signal }),
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

  useLogger(logger: Logger): void {
    this.logger.use(logger);
  }

  publish(topic: string, event: OutgoingEvent, options?: PublishOptions): Promise<void> {
    try {
      this.check(`publish on ${topic}`, options?.signal);
      const record = eventRecord(topic, event, options, this.guarantees.maxEventBytes, true);
      return this.#publisher.send(record, { ...options, hasId: event.id !== undefined });
    } catch (reason) {
      return Promise.reject(reason);
    }
  }

  async publishDeadLetter(record: EventRecord, queue: string | undefined): Promise<void> {
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
    this.#readers.set(subscription, reader);
    subscription.closeOn(options.signal);
    try {
      await untilAborted(reader.begin(), options.signal);
      this.check(what, options.signal);
      return subscription;
    } catch (error) {
      const closing = subscription.close();
      // The handlers of a closing subscription may take the whole grace period.
      if (options.signal?.aborted === true) closing.catch(() => {});
      else await closing;
      throw error;
    }
  }

  async detach(subscription: LocalSubscription): Promise<void> {
    await this.#readers.get(subscription)?.stop();
  }

  async forget(subscription: LocalSubscription): Promise<void> {
    await this.#readers.get(subscription)?.close();
    this.#readers.delete(subscription);
  }

  override close(): Promise<void> {
    return closeForCaller(super.close(), this.#readers.keys(), this.logger);
  }

  protected override async end(): Promise<void> {
    await Promise.all([...this.#readers.keys()].map((each) => each.closeCompletely()));
  }
}
