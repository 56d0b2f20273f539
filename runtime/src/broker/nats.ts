import type { Subscription as NatsSubscription } from "nats";
import type { BackendState, StateListener } from "../backend.ts";
import { MicroError } from "../error.ts";
import { createLogger, type Logger } from "../logger.ts";
import { natsFailure } from "../nats/failure.ts";
import { linkOf, type NatsDriverOptions, type NatsLink } from "../nats/link.ts";
import type {
  Broker,
  BrokerGuarantees,
  EventHandler,
  OutgoingEvent,
  PublishOptions,
  SubscribeOptions,
  Subscription,
} from "./broker.ts";
import {
  type DeliveryHost,
  DeliverySubscription,
  defaultCloseGraceMs,
  deliverySettings,
} from "./delivery.ts";
import { DeliveryQueue, defaultMaxPendingBytes } from "./delivery-queue.ts";
import { encodeEnvelope } from "./envelope.ts";
import { type EventRecord, eventRecord } from "./event.ts";
import {
  checkSubject,
  decodeMessage,
  defaultMaxNatsEventBytes,
  encodeHeaders,
} from "./nats/message.ts";

/** Options of {@link natsBroker}. */
export type NatsBrokerOptions = NatsDriverOptions & {
  /**
   * How events are written. `headers` (default): the body as it is, the rest in NATS headers. `go-micro`: go-micro's
   * JSON, for subscribers in Go. Both are read.
   */
  readonly format?: "headers" | "go-micro";
  /** The largest body of an event, in bytes; the server's own limit, 1 MiB by default, is above it. Default 1,000,000. */
  readonly maxEventBytes?: number;
  /** Bodies that may wait for one subscription, in bytes together. Default 64 MiB. */
  readonly maxPendingBytes?: number;
  /** How long a subscription that closes waits for its handlers, in milliseconds. Default 10,000. */
  readonly closeGraceMs?: number;
  readonly logger?: Logger;
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

class NatsBroker implements Broker, DeliveryHost {
  readonly name = "nats";
  readonly guarantees: BrokerGuarantees;
  readonly logger: Logger;
  readonly closeGraceMs: number;
  readonly #link: NatsLink;
  readonly #release: () => Promise<void>;
  readonly #goMicro: boolean;
  readonly #maxPendingBytes: number;
  readonly #subscriptions = new Map<DeliverySubscription, NatsSubscription>();
  #closing: Promise<void> | undefined = undefined;

  constructor(options: NatsBrokerOptions) {
    const { link, release } = linkOf(options);
    this.#link = link;
    this.#release = release;
    this.#goMicro = options.format === "go-micro";
    this.#maxPendingBytes = options.maxPendingBytes ?? defaultMaxPendingBytes;
    this.logger = options.logger ?? createLogger();
    this.closeGraceMs = options.closeGraceMs ?? defaultCloseGraceMs;
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

  get state(): BackendState {
    return this.#link.status.state;
  }

  onStateChange(listener: StateListener): () => void {
    return this.#link.status.onStateChange(listener);
  }

  async publish(topic: string, event: OutgoingEvent, options: PublishOptions = {}): Promise<void> {
    this.#check(`publish on ${topic}`, options.signal);
    const record = eventRecord(topic, event, options, this.guarantees.maxEventBytes);
    checkSubject(topic);
    await this.#send(record);
  }

  async subscribe(
    topic: string,
    handler: EventHandler,
    options: SubscribeOptions = {},
  ): Promise<Subscription> {
    const what = `subscribe to ${topic}`;
    this.#check(what, options.signal);
    const settings = deliverySettings(topic, options);
    checkSubject(topic);
    const connection = await this.#link.live(what);
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
    this.#subscriptions.set(subscription, source);
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

  publishDeadLetter(record: EventRecord): Promise<void> {
    return this.#send(record);
  }

  async detach(subscription: DeliverySubscription): Promise<void> {
    const source = this.#subscriptions.get(subscription);
    if (source === undefined || source.isClosed()) return;
    if (!this.#link.connected) {
      source.unsubscribe();
      return;
    }
    // What is on its way to this member of a group is handled here.
    await source.drain().catch(() => source.unsubscribe());
  }

  forget(subscription: DeliverySubscription): void {
    this.#subscriptions.delete(subscription);
  }

  close(): Promise<void> {
    this.#closing ??= this.#closeAll();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #send(record: EventRecord): Promise<void> {
    const what = `publish on ${record.topic}`;
    const connection = await this.#link.live(what);
    try {
      if (this.#goMicro) connection.publish(record.topic, encodeEnvelope(record));
      else connection.publish(record.topic, record.body, { headers: encodeHeaders(record) });
    } catch (error) {
      throw natsFailure(error, what);
    }
  }

  async #closeAll(): Promise<void> {
    await Promise.all([...this.#subscriptions.keys()].map((each) => each.close()));
    await this.#release();
  }

  #check(what: string, signal: AbortSignal | undefined): void {
    if (this.#closing !== undefined) {
      throw new MicroError("unavailable", `cannot ${what}: the broker is closed`, {
        outcome: "not-executed",
      });
    }
    if (signal?.aborted === true) {
      throw MicroError.from(signal.reason, "canceled", { outcome: "not-executed" });
    }
  }
}
