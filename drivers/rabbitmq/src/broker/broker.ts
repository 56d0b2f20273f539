import type {
  Broker,
  EventHandler,
  PublishOptions,
  SubscribeOptions,
  Subscription,
} from "@micro-es/runtime";
import {
  type BrokerGuarantees,
  checkOptions,
  DeliveryQueue,
  type DeliverySettings,
  defaultMaxPendingBytes,
  deliverySettings,
  type EventRecord,
  flag,
  LinkedBroker,
  type LinkedBrokerOptions,
  LocalSubscription,
  linkedBrokerKinds,
  type OptionKind,
  oneOf,
} from "@micro-es/runtime/driver";
import { rabbitMqFailure, unavailable } from "../link/failure.ts";
import { RabbitMqLink } from "../link/link.ts";
import { rabbitMqPartKinds } from "../link/options.ts";
import type { RabbitMqPartOptions } from "../link/part.ts";
import { StreamDeadLetters } from "./dead-letters.ts";
import { type EventLayout, layoutOf } from "./layout.ts";
import type { PastHandlings } from "./message.ts";
import { ConfirmPublisher } from "./publisher.ts";
import { QueueConsumer } from "./queue-consumer.ts";
import { declareExchange, type QueuePlan } from "./topology.ts";

/** Options of {@link rabbitmqBroker}. */
export type RabbitMqBrokerOptions = RabbitMqPartOptions &
  LinkedBrokerOptions & {
    /**
     * `key` preserves the order of events with the same key across all members of a queue group,
     * including redeliveries: keys map to 16 partitions, each of which has one event handled at a
     * time. It costs 17 queues per group. All members of a group must use the same value. Default
     * `none`.
     */
    readonly ordering?: "none" | "key";
    /**
     * The exchange that events are published to; created if it does not exist. Names of queues
     * begin with it, so that fleets of one virtual host are separate. Default `micro.events`, in
     * go-micro's format `micro`.
     */
    readonly exchange?: string;
    /**
     * `go-micro`: exchange, queues and messages are those of go-micro's broker, so that services in
     * Go publish to those here, and the reverse. Queues end with their last member, and events with
     * RabbitMQ; a group has one topic. Default `headers`.
     */
    readonly format?: "headers" | "go-micro";
    /**
     * In go-micro's format, whether queues stay as with its option `DurableQueue`. RabbitMQ 4.3 and
     * later accept no others. Default false.
     */
    readonly durableQueues?: boolean;
  };

/** A larger body makes RabbitMQ 4 close the channel from 16 MiB on. */
const defaultMaxEventBytes = 4 * 1024 * 1024;
/** RabbitMQ's documentation names this as the largest prefetch of a quorum queue. */
const maxPrefetch = 2_000;

const exchangeKind: OptionKind = {
  words: 'a name of 1 to 127 of A-Z, a-z, 0-9, ".", "_" and "-", such as "micro.events"',
  accepts: (value) => typeof value === "string" && /^[A-Za-z0-9._-]{1,127}$/.test(value),
};

/**
 * A broker on RabbitMQ 3.10 or later: at least once. Publishing resolves when RabbitMQ confirms
 * that every queue has the event on disk. A queue group is a quorum queue, which keeps its events
 * while the group has no members; a subscription without a queue group has a queue of its own, from
 * when it starts until it closes or its process is away for five minutes. A failed handling is
 * retried here; the events of a process that dies are redelivered elsewhere at once.
 *
 * Events of 64 MiB may wait for their confirmation; publishing more is `resource_exhausted`.
 *
 * @example
 * ```ts
 * import { rabbitmqBroker } from "@micro-es/rabbitmq";
 * import { createService } from "@micro-es/runtime";
 *
 * const broker = rabbitmqBroker({ servers: "127.0.0.1:5672" });
 * const service = createService({ name: "stats", broker });
 * ```
 */
export function rabbitmqBroker(options: RabbitMqBrokerOptions = {}): Broker {
  checkOptions("rabbitmqBroker", options, {
    ...rabbitMqPartKinds,
    ...linkedBrokerKinds,
    ordering: oneOf("none", "key"),
    exchange: exchangeKind,
    format: oneOf("headers", "go-micro"),
    durableQueues: flag,
  });
  return new RabbitMqBroker(options);
}

class RabbitMqBroker extends LinkedBroker<RabbitMqLink> implements Broker {
  readonly name = "rabbitmq";
  readonly keepsEvents: boolean;
  readonly keepsDeadLetters = true;
  readonly guarantees: BrokerGuarantees;
  readonly #layout: EventLayout;
  readonly #publisher: ConfirmPublisher;
  readonly deadLetters: StreamDeadLetters;

  constructor(options: RabbitMqBrokerOptions) {
    super(options.link, () => new RabbitMqLink(options), options);
    const { ordering = "none" } = options;
    const layout = layoutOf(options);
    this.keepsEvents = layout.durable;
    this.#layout = layout;
    this.#publisher = new ConfirmPublisher(this.link, (channel) =>
      declareExchange(channel, layout.exchange),
    );
    const maxEventBytes = options.maxEventBytes ?? defaultMaxEventBytes;
    this.deadLetters = new StreamDeadLetters({
      link: this.link,
      layout,
      publisher: this.#publisher,
      maxEventBytes,
      ...this.deadLetterHost,
    });
    this.guarantees = {
      delivery: "at-least-once",
      ordering,
      durability: layout.durable ? "process-crash" : "none",
      queueGroups: true,
      redelivery: true,
      attempts: "backend",
      unheard: "discarded",
      deadLetter: true,
      overflow: "block",
      replay: false,
      maxEventBytes,
    };
  }

  async subscribe(
    topic: string,
    handler: EventHandler,
    options: SubscribeOptions = {},
  ): Promise<Subscription> {
    const what = `subscribe to ${topic}`;
    this.check(what, options.signal);
    const settings = deliverySettings(topic, options);
    const consumers = this.#queuesOf(topic, settings).map(
      (plan) =>
        new QueueConsumer({
          link: this.link,
          layout: this.#layout,
          plan,
          topic,
          maxEventBytes: this.guarantees.maxEventBytes,
          settings,
          logger: this.logger,
          copy: (queue, record, past) => this.#copy(queue, record, past),
        }),
    );
    const deliveries = new DeliveryQueue(topic, defaultMaxPendingBytes);
    const subscription = new LocalSubscription(topic, handler, settings, deliveries, this);
    const setUp = () => Promise.all(consumers.map((consumer) => consumer.begin(deliveries)));
    return this.established(what, subscription, consumers, setUp, options.signal);
  }

  override publishDeadLetter(record: EventRecord): Promise<void> {
    return this.deadLetters.keep(record);
  }

  protected override send(record: EventRecord, options: PublishOptions): Promise<void> {
    return this.#publisher.send(this.#outgoing(record), options, true);
  }

  protected override failure(error: unknown, what: string): Error {
    return rabbitMqFailure(error, what);
  }

  protected override async end(): Promise<void> {
    await super.end();
    await this.#publisher.close();
  }

  #outgoing(record: EventRecord) {
    return {
      exchange: this.#layout.exchange.name,
      routingKey: this.#layout.routingKey(record.topic, record.key),
      body: record.body,
      properties: this.#layout.encode(record),
      what: `publish on ${record.topic}`,
    };
  }

  #queuesOf(topic: string, settings: DeliverySettings): readonly QueuePlan[] {
    const { queue, maxInFlight, maxPending } = settings;
    const prefetch = Math.min(maxInFlight, maxPending, maxPrefetch);
    return this.#layout.queuesOf(topic, queue, prefetch);
  }

  /** Puts an event with its handlings at the end of a queue, unless that would take long. */
  async #copy(queue: string, record: EventRecord, past: PastHandlings): Promise<void> {
    const { publishing } = this.link;
    if (publishing.failure !== undefined || publishing.blocked !== undefined) {
      throw unavailable(`cannot return an event to ${queue}`);
    }
    const outgoing = {
      exchange: "",
      routingKey: queue,
      body: record.body,
      properties: this.#layout.encode(record, past),
      what: `return an event to ${queue}`,
      mandatory: true,
    };
    await this.#publisher.send(outgoing, {}, false);
  }
}
