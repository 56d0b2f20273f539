import { createHash, randomUUID } from "node:crypto";
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
  checkOptions,
  DeliveryQueue,
  defaultMaxPendingBytes,
  deliverySettings,
  durationMs,
  type EventRecord,
  LocalSubscription,
  noKey,
  oneOf,
  partitions,
  subscribeKinds,
  text,
} from "@micro-es/runtime/driver";
import { NatsBucket } from "../../link/bucket.ts";
import { replicas } from "../../link/option-kinds.ts";
import { checkBucketName, encodeToken } from "../../link/token.ts";
import { EventDriver, type EventDriverOptions, eventDriverKinds } from "../event-driver.ts";
import { checkSubject, defaultMaxNatsEventBytes } from "../message.ts";
import { EventStream, week } from "./event-stream.ts";
import { HandlingCounts } from "./handling-counts.ts";
import { StreamConsumer } from "./stream-consumer.ts";
import { StreamDeadLetters } from "./stream-dead-letters.ts";
import { StreamPublisher } from "./stream-publisher.ts";

/** Options of {@link jetstreamBroker}. */
export type JetStreamBrokerOptions = EventDriverOptions & {
  /**
   * `key` preserves the order of events with the same key across all members of a queue group,
   * including redeliveries: keys map to 16 partitions, each of which has one event handled at a
   * time. It costs 17 consumers per subscription. All members of a group must use the same value.
   * Default `none`.
   */
  readonly ordering?: "none" | "key";
  /** The stream that stores events; created if it does not exist. Default `micro-events`. */
  readonly stream?: string;
  /**
   * Subjects consist of this prefix, the topic, and `none` or the partition of the key, separated
   * by dots. Default `micro.events`.
   */
  readonly prefix?: string;
  /** How a new stream is stored; an existing one stays as it is. */
  readonly storage?: "file" | "memory";
  /** Replicas of the stream in a cluster. Default 1. */
  readonly replicas?: number;
  /**
   * Events are removed from the stream after this time, handled or not, in milliseconds. Default 7
   * days.
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

/**
 * A broker on NATS JetStream: at least once. Publishing resolves when the stream has stored the
 * event. A queue group is a durable consumer, which keeps its position while it has no members; a
 * subscription without a queue group receives events from when it starts. A failed handling is
 * retried here; the event of a process that dies is redelivered elsewhere, after `ackWaitMs`.
 * Handlers may take as long as they like.
 *
 * Events of 64 MiB may wait to be stored; publishing more is `resource_exhausted`.
 *
 * An event that is published twice with one id on one topic is stored once.
 *
 * @example
 * ```ts
 * import { jetstreamBroker } from "@micro-es/nats";
 * import { createService } from "@micro-es/runtime";
 *
 * const broker = jetstreamBroker({ servers: "nats://127.0.0.1:4222", replicas: 3 });
 * const service = createService({ name: "stats", broker });
 * ```
 */
export function jetstreamBroker(options: JetStreamBrokerOptions = {}): Broker {
  checkOptions("jetstreamBroker", options, {
    ...eventDriverKinds,
    ordering: oneOf("none", "key"),
    stream: text,
    prefix: text,
    storage: oneOf("file", "memory"),
    replicas,
    maxAgeMs: durationMs(1, Number.MAX_SAFE_INTEGER),
    duplicateWindowMs: durationMs(1, Number.MAX_SAFE_INTEGER),
    ackWaitMs: durationMs(1),
  });
  return new JetStreamBroker(options);
}

class JetStreamBroker extends EventDriver implements Broker {
  readonly name = "jetstream";
  readonly keepsEvents = true;
  readonly keepsDeadLetters = true;
  readonly guarantees: BrokerGuarantees;
  readonly deadLetters: DeadLetters;
  readonly #options: JetStreamBrokerOptions;
  readonly #stream: EventStream;
  readonly #counts: HandlingCounts;
  readonly #publisher: StreamPublisher;

  constructor(options: JetStreamBrokerOptions) {
    super(options);
    this.#options = options;
    const { stream = "micro-events", prefix = "micro.events" } = options;
    checkBucketName(stream);
    checkSubject(prefix);
    this.#stream = new EventStream(this.link, stream, prefix, options);
    const { maxAgeMs = week, storage = "file", replicas = 1 } = options;
    const bucket = `${stream}-handlings`;
    this.#counts = new HandlingCounts(
      new NatsBucket(this.link, bucket, { storage, replicas, maxAgeMs }),
    );
    this.#publisher = new StreamPublisher(this.link, this.#stream);
    this.deadLetters = new StreamDeadLetters({
      link: this.link,
      stream,
      prefix,
      maxEventBytes: options.maxEventBytes ?? defaultMaxNatsEventBytes,
      ...this.deadLetterHost,
    });
    this.guarantees = {
      delivery: "at-least-once",
      ordering: options.ordering ?? "none",
      durability: options.storage === "memory" ? "none" : "process-crash",
      queueGroups: true,
      redelivery: true,
      attempts: "backend",
      unheard: "kept",
      deadLetter: true,
      overflow: "block",
      replay: true,
      maxEventBytes: options.maxEventBytes ?? defaultMaxNatsEventBytes,
    };
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
    checkSubject(topic);
    const { queue } = settings;
    const name = consumerName(topic, queue);
    const ordered = this.guarantees.ordering === "key";
    const parts = ordered ? [noKey, ...partitions] : ["*"];
    const consumers = parts.map(
      (part) =>
        new StreamConsumer({
          link: this.link,
          stream: this.#stream.name,
          subject: this.#stream.subject(topic, part),
          topic,
          consumer: part === "*" ? name : `${name}=_${part}`,
          durable: queue !== undefined,
          ordered: ordered && part !== noKey,
          start: from,
          ackWaitMs: this.#options.ackWaitMs ?? 30_000,
          maxEventBytes: this.guarantees.maxEventBytes,
          settings,
          counts: this.#counts,
          logger: this.logger,
        }),
    );
    const deliveries = new DeliveryQueue(topic, defaultMaxPendingBytes);
    const subscription = new LocalSubscription(topic, handler, settings, deliveries, this);
    const setUp = async () => {
      await this.#stream.open();
      await this.link.live(what);
      await Promise.all(consumers.map((consumer) => consumer.begin(deliveries)));
    };
    return this.established(what, subscription, consumers, setUp, options.signal);
  }

  protected override send(
    record: EventRecord,
    options: PublishOptions,
    queue?: string,
  ): Promise<void> {
    return this.#publisher.send(record, options, queue);
  }

  protected override async end(): Promise<void> {
    await super.end();
    await this.#publisher.close();
  }
}

/**
 * The name of a group's consumer, identical everywhere, or a unique one for a subscription without
 * a group.
 */
function consumerName(topic: string, queue: string | undefined): string {
  if (queue === undefined) return `micro-${randomUUID()}`;
  const name = `${encodeToken(queue)}=_${encodeToken(topic)}`;
  return name.length <= 120 ? name : `micro-${createHash("sha256").update(name).digest("hex")}`;
}
