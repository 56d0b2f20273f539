import type { Subscription as NatsSubscription } from "nats";
import { natsFailure } from "../nats/failure.ts";
import type {
  Broker,
  BrokerGuarantees,
  EventHandler,
  SubscribeOptions,
  Subscription,
} from "./broker.ts";
import { DeliverySubscription, deliverySettings } from "./delivery.ts";
import { DeliveryQueue, defaultMaxPendingBytes } from "./delivery-queue.ts";
import { encodeEnvelope } from "./envelope.ts";
import type { EventRecord } from "./event.ts";
import { EventDriver, type EventDriverOptions } from "./nats/event-driver.ts";
import {
  checkSubject,
  decodeMessage,
  defaultMaxNatsEventBytes,
  encodeHeaders,
} from "./nats/message.ts";

/** Options of {@link natsBroker}. */
export type NatsBrokerOptions = EventDriverOptions & {
  /**
   * How events are written. `headers` (default): the body as it is, the rest in NATS headers. `go-micro`: go-micro's
   * JSON, for subscribers in Go. Both are read.
   */
  readonly format?: "headers" | "go-micro";
  /** Bodies that may wait for one subscription, in bytes together. Default 64 MiB. */
  readonly maxPendingBytes?: number;
};

/**
 * A broker on core NATS: fast, and at most once. An event goes to who is subscribed while it is published; nothing
 * keeps it. A topic is the subject of the same name, and a queue group is NATS' own, so that go-micro services on the
 * same servers take part.
 *
 * Publishing resolves when the event is handed to the connection, and fails while that is lost.
 */
export function natsBroker(options: NatsBrokerOptions = {}): Broker {
  return new NatsBroker(options);
}

class NatsBroker extends EventDriver<NatsSubscription> implements Broker {
  readonly name = "nats";
  readonly guarantees: BrokerGuarantees;
  readonly #goMicro: boolean;
  readonly #maxPendingBytes: number;

  constructor(options: NatsBrokerOptions) {
    super(options);
    this.#goMicro = options.format === "go-micro";
    this.#maxPendingBytes = options.maxPendingBytes ?? defaultMaxPendingBytes;
    this.guarantees = {
      delivery: "at-most-once",
      ordering: "publisher",
      durability: "none",
      queueGroups: true,
      redelivery: true,
      deadLetter: true,
      overflow: "drop",
      replay: false,
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
    const settings = deliverySettings(topic, options);
    checkSubject(topic);
    const connection = await this.link.live(what);
    const deliveries = new DeliveryQueue(topic, this.#maxPendingBytes);
    const subscription = new DeliverySubscription(topic, handler, settings, deliveries, this);
    const { queue } = settings;
    const source = connection.subscribe(topic, {
      ...(queue === undefined ? {} : { queue }),
      callback: (error, message) => {
        if (error !== null) {
          this.logger.error({ topic, error }, "NATS ended a subscription");
          return;
        }
        try {
          deliveries.offer(decodeMessage(topic, message, this.guarantees.maxEventBytes));
        } catch (reason) {
          this.logger.warn({ topic, error: reason }, "a message that is no event was dropped");
        }
      },
    });
    this.sources.set(subscription, source);
    try {
      // The server has the subscription when it answers what was sent after it.
      await connection.flush();
    } catch (error) {
      await subscription.close();
      throw natsFailure(error, what);
    }
    if (options.signal !== undefined) subscription.closeOn(options.signal);
    return subscription;
  }

  async detach(subscription: DeliverySubscription): Promise<void> {
    const source = this.sources.get(subscription);
    if (source === undefined || source.isClosed()) return;
    if (!this.link.connected) {
      source.unsubscribe();
      return;
    }
    // What is on its way to this member of a group is handled here.
    await source.drain().catch(() => source.unsubscribe());
  }

  protected override async send(record: EventRecord): Promise<void> {
    const what = `publish on ${record.topic}`;
    const connection = await this.link.live(what);
    try {
      if (this.#goMicro) connection.publish(record.topic, encodeEnvelope(record));
      else connection.publish(record.topic, record.body, { headers: encodeHeaders(record) });
    } catch (error) {
      throw natsFailure(error, what);
    }
  }
}
