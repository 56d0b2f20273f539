import type {
  Broker,
  DeadLetters,
  EventHandler,
  PublishOptions,
  SubscribeOptions,
  Subscription,
} from "@micro-es/runtime";
import { MicroError } from "@micro-es/runtime";
import {
  type BrokerGuarantees,
  byteCountUpTo,
  checkOptions,
  countUpTo,
  DeliveryQueue,
  defaultMaxPendingBytes,
  deliverySettings,
  durationMs,
  type EventRecord,
  LinkedBroker,
  type LinkedBrokerOptions,
  LocalSubscription,
  linkedBrokerKinds,
  type OptionKind,
  omitUndefined,
  oneOf,
  subscribeKinds,
} from "@micro-es/runtime/driver";
import { kafkaFailure } from "../link/failure.ts";
import { KafkaLink } from "../link/link.ts";
import { type KafkaOptions, kafkaPartKinds } from "../link/options.ts";
import { KafkaDeadLetters } from "./dead-letters.ts";
import { GroupReader } from "./group-reader.ts";
import { LoneReader } from "./lone-reader.ts";
import { EventPublisher } from "./publisher.ts";
import { offsetAt, Topics } from "./topics.ts";

/** Options of {@link kafkaBroker}. */
export type KafkaBrokerOptions = KafkaOptions &
  LinkedBrokerOptions & {
    /** A connection shared with other parts; its creator closes it. */
    readonly link?: KafkaLink;
    /**
     * What the names of all topics and groups begin with, before a dot; a different prefix is a
     * separate fleet. Default `micro`.
     */
    readonly prefix?: string;
    /**
     * The partitions of topics that are created. A queue group has at most so many members that
     * get events. Default 16.
     */
    readonly partitions?: number;
    /** The replicas of topics that are created. Default: as the cluster is configured. */
    readonly replicas?: number;
    /**
     * `key` handles one event of a key at a time, in the order of publication, redeliveries
     * included; `none` handles events of a key at once. Default `key`.
     */
    readonly ordering?: "none" | "key";
    /** Maximum size of an event's body, in bytes. Default 4,194,304. */
    readonly maxEventBytes?: number;
    /**
     * How long the topics that are created keep events, whether or not they were handled, in
     * milliseconds. Default 7 days.
     */
    readonly maxAgeMs?: number;
    /**
     * The events of a member that is silent for this long are redelivered to others, in
     * milliseconds. Default 10,000; brokers take 6,000 to 1,800,000 by default.
     */
    readonly sessionTimeoutMs?: number;
  };

const week = 7 * 24 * 3_600_000;
const mostEventBytes = 64 * 1024 * 1024;

/** What names of topics begin with. */
export const prefixKind: OptionKind = {
  words: 'up to 100 of A-Z, a-z, 0-9, ".", "_" and "-", for example "shop"',
  accepts: (value) => typeof value === "string" && /^[A-Za-z0-9._-]{1,100}$/.test(value),
};

/**
 * A broker on Kafka 3.1 and later: at least once, and in order by key. Publishing resolves when all
 * replicas that are in sync have the event. A queue group is a consumer group; a subscription
 * without one reads all partitions by itself, and leaves nothing behind. A failed handling is
 * retried here; the events of a process that dies are redelivered elsewhere, after
 * `sessionTimeoutMs`. Handlers may take as long as they like.
 *
 * @throws MicroError `invalid_argument` for invalid options.
 * @example
 * ```ts
 * import { kafkaBroker } from "@micro-es/kafka";
 * import { createService } from "@micro-es/runtime";
 *
 * const broker = kafkaBroker({ servers: "127.0.0.1:9092" });
 * const service = createService({ name: "stats", broker });
 * ```
 */
export function kafkaBroker(options: KafkaBrokerOptions = {}): Broker {
  checkOptions("kafkaBroker", options, {
    ...kafkaPartKinds,
    ...linkedBrokerKinds,
    prefix: prefixKind,
    partitions: countUpTo(10_000),
    replicas: countUpTo(1_000),
    ordering: oneOf("none", "key"),
    maxEventBytes: byteCountUpTo(mostEventBytes),
    maxAgeMs: durationMs(1, Number.MAX_SAFE_INTEGER),
    sessionTimeoutMs: durationMs(100),
  });
  return new KafkaBroker(options);
}

class KafkaBroker extends LinkedBroker<KafkaLink> implements Broker {
  readonly name = "kafka";
  readonly keepsEvents = true;
  readonly keepsDeadLetters = true;
  readonly guarantees: BrokerGuarantees;
  readonly deadLetters: DeadLetters;
  readonly #prefix: string;
  readonly #sessionTimeoutMs: number;
  readonly #topics: Topics;
  readonly #publisher: EventPublisher;

  constructor(options: KafkaBrokerOptions) {
    const { link, prefix = "micro", ...others } = options;
    super(link, () => new KafkaLink(linkOptions(others)), others);
    const { ordering = "key", maxEventBytes = 4 * 1024 * 1024 } = options;
    this.#prefix = prefix;
    this.#sessionTimeoutMs = options.sessionTimeoutMs ?? 10_000;
    this.#topics = new Topics(this.link, {
      prefix,
      partitions: options.partitions ?? 16,
      replicas: options.replicas ?? -1,
      maxAgeMs: options.maxAgeMs ?? week,
      maxEventBytes,
    });
    this.#publisher = new EventPublisher(this.link, this.#topics);
    this.deadLetters = new KafkaDeadLetters({
      link: this.link,
      topics: this.#topics,
      publisher: this.#publisher,
      maxEventBytes,
      ...this.deadLetterHost,
    });
    this.guarantees = {
      delivery: "at-least-once",
      ordering,
      durability: "process-crash",
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

  override publishDeadLetter(record: EventRecord): Promise<void> {
    return this.#publisher.send(record, {}, true);
  }

  async subscribe(
    topic: string,
    handler: EventHandler,
    options: SubscribeOptions = {},
  ): Promise<Subscription> {
    const what = `subscribe to ${topic}`;
    this.check(what, options.signal);
    checkOptions(what, options, subscribeKinds);
    const { from, ...others } = options;
    const settings = deliverySettings(topic, others);
    this.checkTopic(topic);
    const { queue } = settings;
    const { maxEventBytes, ordering } = this.guarantees;
    const isOrdered = ordering === "key";
    const deliveries = new DeliveryQueue(topic, defaultMaxPendingBytes, undefined, isOrdered);
    const { link, logger } = this;
    const start = this.#startAt(topic, from, what);
    const shared = { topic, settings, maxEventBytes, deliveries, logger, link, start };
    const source = { ...shared, topics: this.#topics };
    const sessionTimeoutMs = this.#sessionTimeoutMs;
    const reader =
      queue === undefined
        ? new LoneReader(source)
        : new GroupReader({
            ...source,
            group: `${this.#prefix}.${topic}.${queue}`,
            sessionTimeoutMs,
          });
    const subscription = new LocalSubscription(topic, handler, settings, deliveries, this);
    return this.established(what, subscription, [reader], () => reader.begin(), options.signal);
  }

  protected override checkTopic(topic: string): void {
    this.#topics.nameOf(topic);
  }

  protected override failure(error: unknown, what: string): Error {
    return kafkaFailure(error, what);
  }

  protected override send(record: EventRecord, options: PublishOptions): Promise<void> {
    return this.#publisher.send(record, options, false);
  }

  /** The offset of each partition at which a subscription begins. */
  #startAt(
    topic: string,
    from: SubscribeOptions["from"],
    what: string,
  ): () => Promise<readonly number[]> {
    if (typeof from !== "bigint") {
      const time =
        from === undefined
          ? offsetAt.latest
          : from === "first"
            ? offsetAt.earliest
            : Math.max(0, from.getTime());
      return () => this.#topics.offsets(topic, time, what);
    }
    if (from < 0n || from > BigInt(Number.MAX_SAFE_INTEGER)) {
      throw new MicroError("invalid_argument", `an event has no sequence number ${from}`, {
        outcome: "not-executed",
      });
    }
    return async () => {
      const [firsts, ends] = await Promise.all([
        this.#topics.offsets(topic, offsetAt.earliest, what),
        this.#topics.offsets(topic, offsetAt.latest, what),
      ]);
      return firsts.map((first, index) =>
        Math.min(Math.max(first, Number(from)), ends[index] ?? first),
      );
    };
  }
}

/** The options of the connection, without those of the broker. */
function linkOptions(options: KafkaBrokerOptions): KafkaOptions {
  const { servers, user, password, mechanism, tls, timeoutMs, startTimeoutMs } = options;
  return omitUndefined({ servers, user, password, mechanism, tls, timeoutMs, startTimeoutMs });
}
