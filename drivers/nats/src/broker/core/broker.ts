import type {
  Broker,
  EventHandler,
  PublishOptions,
  SubscribeOptions,
  Subscription,
} from "@micro-es/runtime";
import type { BrokerGuarantees } from "@micro-es/runtime/driver";
import {
  byteCount,
  checkOptions,
  DeliveryQueue,
  defaultMaxPendingBytes,
  deliverySettings,
  type EventRecord,
  encodeEnvelope,
  LocalSubscription,
  oneOf,
  throwIfAborted,
  untilAborted,
  withCancellation,
} from "@micro-es/runtime/driver";
import type { NatsConnection, Subscription as NatsSubscription } from "nats";
import { natsFailure } from "../../link/failure.ts";
import { EventDriver, type EventDriverOptions, eventDriverKinds } from "../event-driver.ts";
import {
  checkSubject,
  decodeMessage,
  defaultMaxNatsEventBytes,
  encodeHeaders,
} from "../message.ts";
import { publishMessage } from "../publish-message.ts";

/** Options of {@link natsBroker}. */
export type NatsBrokerOptions = EventDriverOptions & {
  /**
   * How events are encoded. `headers` (default): the body as is, everything else in NATS headers.
   * `go-micro`: go-micro's JSON, for subscribers in Go. Both are decoded.
   */
  readonly format?: "headers" | "go-micro";
  /** Maximum total size of the bodies queued for one subscription, in bytes. Default 64 MiB. */
  readonly maxPendingBytes?: number;
};

/**
 * A broker on core NATS: fast, and at most once. An event reaches the subscribers present when it
 * is published; it is not stored. A topic is the subject of the same name, and a queue group is
 * NATS' own, so that go-micro services on the same servers take part.
 *
 * Publishing resolves when the event is passed to the connection, and fails while the connection is
 * lost.
 *
 * @example
 * ```ts
 * import { natsBroker } from "@micro-es/nats";
 * import { createService } from "@micro-es/runtime";
 *
 * const broker = natsBroker({ servers: "nats://127.0.0.1:4222" });
 * const service = createService({ name: "stats", broker });
 * ```
 */
export function natsBroker(options: NatsBrokerOptions = {}): Broker {
  checkOptions("natsBroker", options, {
    ...eventDriverKinds,
    format: oneOf("headers", "go-micro"),
    maxPendingBytes: byteCount,
  });
  return new NatsBroker(options);
}

class NatsBroker extends EventDriver implements Broker {
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
      attempts: "process",
      unheard: "discarded",
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
    const connection = await untilAborted(this.link.live(what), options.signal);
    this.check(what, options.signal);
    const deliveries = new DeliveryQueue(topic, this.#maxPendingBytes);
    const subscription = new LocalSubscription(topic, handler, settings, deliveries, this);
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
          this.logger.warn({ topic, error: reason }, "dropped a message that is not an event");
        }
      },
    });
    const sources = [{ stop: () => this.#drain(source), close: async () => {} }];
    // The server has the subscription when it responds to a message sent after it.
    const setUp = () => connection.flush();
    return this.established(what, subscription, sources, setUp, options.signal);
  }

  async #drain(source: NatsSubscription): Promise<void> {
    if (source.isClosed()) return;
    if (!this.link.connected) {
      source.unsubscribe();
      return;
    }
    // Events already on their way to this member of a group are handled here.
    await source.drain().catch(() => source.unsubscribe());
  }

  protected override send(record: EventRecord, options: PublishOptions): Promise<void> {
    const { signal, context } = options;
    const connection =
      signal === undefined && context === undefined ? this.link.liveNow : undefined;
    if (connection === undefined) return this.#sendWhenLive(record, options);
    this.#publish(connection, record);
    return sent;
  }

  async #sendWhenLive(record: EventRecord, options: PublishOptions): Promise<void> {
    const what = `publish on ${record.topic}`;
    const connection = await withCancellation(options, async (signal) => {
      throwIfAborted(signal);
      const live = await untilAborted(this.link.live(what), signal);
      throwIfAborted(signal);
      return live;
    });
    this.#publish(connection, record);
  }

  #publish(connection: NatsConnection, record: EventRecord): void {
    try {
      if (this.#goMicro) connection.publish(record.topic, encodeEnvelope(record));
      else publishMessage(connection, record.topic, encodeHeaders(record), record.body);
    } catch (error) {
      throw natsFailure(error, `publish on ${record.topic}`);
    }
  }
}

/** The result of every publication that waits for nothing. */
const sent = Promise.resolve();
