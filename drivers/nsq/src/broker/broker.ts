import { randomUUID } from "node:crypto";
import type {
  Broker,
  EventHandler,
  MicroError,
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
  LinkedBroker,
  type LinkedBrokerOptions,
  LocalSubscription,
  linkedBrokerKinds,
  type OptionKind,
} from "@micro-es/runtime/driver";
import { nsqFailure } from "../link/failure.ts";
import { NsqLink } from "../link/link.ts";
import { type NsqOptions, nsqPartKinds } from "../link/options.ts";
import { ChannelReader } from "./channel-reader.ts";
import { defaultMaxEventBytes, maxMessageBytes } from "./message.ts";
import { groupChannel, loneChannel, nsqTopic } from "./names.ts";
import { EventPublisher } from "./publisher.ts";

/** Options of {@link nsqBroker}. */
export type NsqBrokerOptions = NsqOptions &
  LinkedBrokerOptions & {
    /** A connection shared with other parts; its creator closes it. */
    readonly link?: NsqLink;
    /** The beginning of all names of topics on the servers, such as `shop.`. Default: none. */
    readonly prefix?: string;
    /**
     * The events of a subscriber that is silent for this long are delivered again, in milliseconds;
     * at most nsqd's `--max-msg-timeout`. Default 30,000.
     */
    readonly ackWaitMs?: number;
  };

/** nsqd allows no shorter one, in milliseconds. */
const leastAckWaitMs = 1_000;

/** What names of topics begin with. */
export const prefixKind: OptionKind = {
  words: 'up to 200 of A-Z, a-z, 0-9, ".", "_" and "-", for example "shop."',
  accepts: (value) => typeof value === "string" && /^[A-Za-z0-9._-]{0,200}$/.test(value),
};

/**
 * A broker on NSQ: at least once while nsqd runs. Publishing resolves when one nsqd
 * has the event, in memory: a nsqd that is killed loses it. A queue group is a channel, which keeps
 * events while the group has no members; a subscription without one has a channel that ends with
 * its connection. A failed event of a group returns to its channel, and any member handles it next.
 *
 * @throws MicroError `invalid_argument` for invalid options.
 * @example
 * ```ts
 * import { nsqBroker } from "@micro-es/nsq";
 * import { createService } from "@micro-es/runtime";
 *
 * const broker = nsqBroker({ servers: "127.0.0.1:4150" });
 * const service = createService({ name: "stats", broker });
 * ```
 */
export function nsqBroker(options: NsqBrokerOptions = {}): Broker {
  checkOptions("nsqBroker", options, {
    ...nsqPartKinds,
    ...linkedBrokerKinds,
    prefix: prefixKind,
    ackWaitMs: durationMs(leastAckWaitMs),
  });
  return new NsqBroker(options);
}

class NsqBroker extends LinkedBroker<NsqLink> implements Broker {
  readonly name = "nsq";
  readonly keepsEvents = true;
  readonly keepsDeadLetters = true;
  readonly guarantees: BrokerGuarantees;
  readonly #prefix: string;
  readonly #ackWaitMs: number;
  readonly #maxMessageBytes: number;
  readonly #publisher: EventPublisher;

  constructor(options: NsqBrokerOptions) {
    const { link, prefix = "", ackWaitMs = 30_000, ...others } = options;
    const { maxEventBytes = defaultMaxEventBytes, closeGraceMs: _, logger: __, ...own } = others;
    super(link, () => new NsqLink(own), options);
    this.#prefix = prefix;
    this.#ackWaitMs = ackWaitMs;
    this.#maxMessageBytes = maxMessageBytes(maxEventBytes);
    this.#publisher = new EventPublisher({
      link: this.link,
      prefix,
      maxMessageBytes: this.#maxMessageBytes,
    });
    this.guarantees = {
      delivery: "at-least-once",
      ordering: "none",
      durability: "none",
      queueGroups: true,
      redelivery: true,
      attempts: "backend",
      unheard: "kept",
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
    // Events of one key may be handled at once, as on several members.
    const deliveries = new DeliveryQueue(topic, defaultMaxPendingBytes, undefined, false);
    const { link, logger } = this;
    const readers = link.addresses.map(
      (address) =>
        new ChannelReader({
          link,
          address,
          topic,
          nsqTopic: nsqTopic(this.#prefix, topic),
          channel: queue === undefined ? loneChannel(randomUUID()) : groupChannel(queue),
          servers: link.addresses.length,
          settings,
          deliveries,
          maxEventBytes: this.guarantees.maxEventBytes,
          maxMessageBytes: this.#maxMessageBytes,
          ackWaitMs: this.#ackWaitMs,
          logger,
        }),
    );
    const subscription = new LocalSubscription(topic, handler, settings, deliveries, this);
    const setUp = async () => {
      await link.open();
      const failures = await Promise.all(readers.map((reader) => reader.begin()));
      const [first] = failures.filter((failure) => failure !== undefined);
      if (first !== undefined && failures.every((failure) => failure !== undefined)) throw first;
    };
    return this.established(what, subscription, readers, setUp, options.signal);
  }

  override publishDeadLetter(record: EventRecord): Promise<void> {
    return this.#publisher.send(record, {}, true);
  }

  protected override send(record: EventRecord, options: PublishOptions): Promise<void> {
    return this.#publisher.send(record, options, false);
  }

  protected override failure(error: unknown, what: string): MicroError {
    return nsqFailure(error, what);
  }
}
