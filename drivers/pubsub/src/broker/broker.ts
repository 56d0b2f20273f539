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
  oneOf,
} from "@micro-es/runtime/driver";
import { pubSubFailure } from "../link/failure.ts";
import { PubSubLink } from "../link/link.ts";
import { invalid, pubSubPartKinds } from "../link/options.ts";
import type { PubSubPartOptions } from "../link/part.ts";
import { PubSubDeadLetters } from "./dead-letters.ts";
import { Names, prefixKind } from "./names.ts";
import { EventPublisher } from "./publisher.ts";
import { SubscriptionReader } from "./reader.ts";

/** Options of {@link pubsubBroker}. */
export type PubSubBrokerOptions = PubSubPartOptions &
  LinkedBrokerOptions & {
    /**
     * What the names of topics and subscriptions begin with; a different prefix is a separate
     * fleet. Default `micro`.
     */
    readonly prefix?: string;
    /**
     * `key` preserves the order of events with the same key in each subscription, including
     * redeliveries, by ordering keys of Pub/Sub. All publishers and subscribers of a topic must use
     * the same value. Default `none`.
     */
    readonly ordering?: "none" | "key";
    /**
     * The events of a subscriber that is silent for this long are redelivered to others, in
     * milliseconds; 10,000 to 600,000, and on an emulator that allows it 1,000. Default 30,000.
     */
    readonly ackWaitMs?: number;
  };

/** The service takes 10 MB with attributes. */
const mostEventBytes = 9 * 1024 * 1024;
const leastWaitMs = 10_000;
const leastEmulatorWaitMs = 1_000;

/**
 * A broker on Google Cloud Pub/Sub: at least once. Publishing resolves when the service has stored
 * the event. A queue group is a subscription of the service, which keeps its events for seven days
 * while it has no members; a subscription without a group has one of its own, which is deleted when
 * it closes. A failed handling is retried here; the event of a process that dies is redelivered
 * elsewhere, after `ackWaitMs`. Handlers may take as long as they like.
 *
 * @throws MicroError `invalid_argument` for invalid options.
 * @example
 * ```ts
 * import { pubsubBroker } from "@micro-es/pubsub";
 * import { createService } from "@micro-es/runtime";
 *
 * const broker = pubsubBroker({ project: "acme-prod" });
 * const service = createService({ name: "stats", broker });
 * ```
 */
export function pubsubBroker(options: PubSubBrokerOptions = {}): Broker {
  checkOptions("pubsubBroker", options, {
    ...pubSubPartKinds,
    ...linkedBrokerKinds,
    maxEventBytes: byteCountUpTo(mostEventBytes),
    prefix: prefixKind,
    ordering: oneOf("none", "key"),
    ackWaitMs: durationMs(leastEmulatorWaitMs, 600_000),
  });
  return new PubSubBroker(options);
}

class PubSubBroker extends LinkedBroker<PubSubLink> implements Broker {
  readonly name = "pubsub";
  readonly keepsEvents = true;
  readonly keepsDeadLetters = true;
  readonly guarantees: BrokerGuarantees;
  readonly deadLetters: DeadLetters;
  readonly #kept: PubSubDeadLetters;
  readonly #names: Names;
  readonly #publisher: EventPublisher;
  readonly #ackWaitMs: number;

  constructor(options: PubSubBrokerOptions) {
    const { link, prefix = "micro", ordering = "none" } = options;
    super(link, () => new PubSubLink(linkOptions(options)), options);
    const { maxEventBytes = 4 * 1024 * 1024 } = options;
    const isOrdered = ordering === "key";
    this.#ackWaitMs = options.ackWaitMs ?? 30_000;
    if (this.#ackWaitMs < leastWaitMs && !this.link.isEmulator) {
      throw invalid(
        `ackWaitMs must be at least ${leastWaitMs} on Pub/Sub; emulators may take less`,
      );
    }
    this.#names = new Names(prefix, () => this.link.project);
    this.#publisher = new EventPublisher({
      link: this.link,
      nameOf: (topic) => this.#names.topic(topic),
      isOrdered,
    });
    this.#kept = new PubSubDeadLetters({
      link: this.link,
      names: this.#names,
      publisher: this.#publisher,
      maxEventBytes,
      ...this.deadLetterHost,
    });
    this.deadLetters = this.#kept;
    this.guarantees = {
      delivery: "at-least-once",
      ordering,
      durability: "power-loss",
      queueGroups: true,
      redelivery: true,
      attempts: "process",
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
    const { queue } = settings;
    const { maxEventBytes, ordering } = this.guarantees;
    const isOrdered = ordering === "key";
    const deliveries = new DeliveryQueue(topic, defaultMaxPendingBytes, undefined, isOrdered);
    const reader = new SubscriptionReader({
      link: this.link,
      plan: {
        name: queue === undefined ? this.#names.lone() : this.#names.group(queue, topic),
        topic: this.#names.topic(topic),
        isOrdered,
        isLone: queue === undefined,
      },
      topic,
      settings,
      deliveries,
      maxEventBytes,
      ackWaitMs: this.#ackWaitMs,
      logger: this.logger,
    });
    const subscription = new LocalSubscription(topic, handler, settings, deliveries, this);
    return this.established(what, subscription, [reader], () => reader.begin(), options.signal);
  }

  override publishDeadLetter(record: EventRecord): Promise<void> {
    return this.#kept.keep(record);
  }

  protected override failure(error: unknown, what: string): Error {
    return pubSubFailure(error, what);
  }

  protected override send(record: EventRecord, options: PublishOptions): Promise<void> {
    return this.#publisher.send(record, options);
  }

  protected override async end(): Promise<void> {
    await super.end();
    await this.#publisher.close();
  }
}

/** The options of the connection, without those of the broker. */
function linkOptions(options: PubSubBrokerOptions) {
  const {
    link: _link,
    prefix: _prefix,
    ordering: _ordering,
    ackWaitMs: _ackWaitMs,
    maxEventBytes: _maxEventBytes,
    closeGraceMs: _closeGraceMs,
    logger: _logger,
    ...others
  } = options;
  return others;
}
