import { createHash, randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { DiscardPolicy, nanos, RetentionPolicy, StorageType } from "nats";
import type { BackendState, StateListener } from "../backend.ts";
import { MicroError } from "../error.ts";
import { createLogger, type Logger } from "../logger.ts";
import { isNobodyThere, isNotFound, natsFailure } from "../nats/failure.ts";
import { linkOf, type NatsDriverOptions, type NatsLink } from "../nats/link.ts";
import { checkBucketName, encodeToken } from "../nats/token.ts";
import type {
  Broker,
  BrokerGuarantees,
  EventHandler,
  OutgoingEvent,
  PublishOptions,
  SubscribeOptions,
  Subscription,
} from "./broker.ts";
import { deadLetterRecord } from "./dead-letter.ts";
import {
  type DeliveryHost,
  DeliverySubscription,
  defaultCloseGraceMs,
  deliverySettings,
} from "./delivery.ts";
import { DeliveryQueue, defaultMaxPendingBytes } from "./delivery-queue.ts";
import { cancellation, type EventRecord, eventRecord } from "./event.ts";
import { checkSubject, defaultMaxNatsEventBytes, encodeHeaders } from "./nats/message.ts";
import { StreamConsumer } from "./nats/stream-consumer.ts";

/** Options of {@link jetstreamBroker}. */
export type JetStreamBrokerOptions = NatsDriverOptions & {
  /**
   * `key` keeps the order of events of one key over all members of a queue group, redeliveries included: keys fall into
   * 16 partitions, of which each has one event handled at a time. It costs 17 consumers a subscription. All members of
   * a group have to say the same. Default `none`.
   */
  readonly ordering?: "none" | "key";
  /** The stream that keeps events; made when it is not there. Default `MICRO`. */
  readonly stream?: string;
  /** Subjects are this, the topic, and `none` or the partition of the key, with dots between. Default `micro.events`. */
  readonly prefix?: string;
  /** How the stream is made; one that is there stays as it is. */
  readonly storage?: "file" | "memory";
  /** Copies of the stream in a cluster. Default 1. */
  readonly replicas?: number;
  /** Events leave the stream after this time, handled or not, in milliseconds. Default 7 days. */
  readonly maxAgeMs?: number;
  /** An event published again under its id within this time is kept once, in milliseconds. Default 120,000. */
  readonly duplicateWindowMs?: number;
  /** A subscriber that is not heard of for this long has its events delivered to others, in milliseconds. Default 30,000. */
  readonly ackWaitMs?: number;
  /** The largest body of an event, in bytes; the server's own limit, 1 MiB by default, is above it. Default 1,000,000. */
  readonly maxEventBytes?: number;
  /** How long a subscription that closes waits for its handlers, in milliseconds. Default 10,000. */
  readonly closeGraceMs?: number;
  readonly logger?: Logger;
};

const week = 7 * 24 * 3_600_000;
/** One try to publish, in milliseconds; a try that hears nothing is repeated under the same id. */
const tryMs = 1_500;

/**
 * A broker on NATS JetStream: at least once. Publishing resolves when the stream has the event. A queue group is a
 * durable consumer, which remembers what was handled while nobody is there; a subscription without one sees events
 * from its beginning on. A handling that fails is repeated here; one whose process dies is repeated elsewhere, after
 * `ackWaitMs`. Handlers may take as long as they like.
 *
 * An event that is published twice with one id on one topic is kept once.
 */
export function jetstreamBroker(options: JetStreamBrokerOptions = {}): Broker {
  return new JetStreamBroker(options);
}

class JetStreamBroker implements Broker, DeliveryHost {
  readonly name = "jetstream";
  readonly guarantees: BrokerGuarantees;
  readonly logger: Logger;
  readonly closeGraceMs: number;
  readonly #link: NatsLink;
  readonly #release: () => Promise<void>;
  readonly #options: JetStreamBrokerOptions;
  readonly #stream: string;
  readonly #prefix: string;
  readonly #consumers = new Map<DeliverySubscription, readonly StreamConsumer[]>();
  #ready: Promise<void> | undefined;
  #closing: Promise<void> | undefined;

  constructor(options: JetStreamBrokerOptions) {
    const { link, release } = linkOf(options);
    this.#link = link;
    this.#release = release;
    this.#options = options;
    this.#stream = options.stream ?? "MICRO";
    this.#prefix = options.prefix ?? "micro.events";
    checkBucketName(this.#stream);
    checkSubject(this.#prefix);
    this.logger = options.logger ?? createLogger();
    this.closeGraceMs = options.closeGraceMs ?? defaultCloseGraceMs;
    this.guarantees = {
      delivery: "at-least-once",
      ordering: options.ordering ?? "none",
      durability: options.storage === "memory" ? "none" : "process-crash",
      queueGroups: true,
      redelivery: true,
      deadLetter: true,
      overflow: "block",
      replay: true,
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
    await this.#store(record, cancellation(options));
  }

  async subscribe(
    topic: string,
    handler: EventHandler,
    options: SubscribeOptions = {},
  ): Promise<Subscription> {
    const what = `subscribe to ${topic}`;
    this.#check(what, options.signal);
    const { from = "new", ...others } = options;
    const settings = deliverySettings(topic, others);
    checkSubject(topic);
    const { queue, deadLetter } = settings;
    const name = consumerName(topic, queue);
    const ordered = this.guarantees.ordering === "key";
    const parts = ordered ? [noKey, ...partitions] : ["*"];
    const consumers = parts.map(
      (part) =>
        new StreamConsumer({
          link: this.#link,
          stream: this.#stream,
          subject: this.#subject(topic, part),
          topic,
          consumer: part === "*" ? name : `${name}=_${part}`,
          durable: queue !== undefined,
          ordered: ordered && part !== noKey,
          start: from,
          ackWaitMs: this.#options.ackWaitMs ?? 30_000,
          maxEventBytes: this.guarantees.maxEventBytes,
          settings,
          logger: this.logger,
          giveUp: async (record, attempts) => {
            const reason = "delivered too often, without an answer to the last delivery";
            this.logger.error({ topic, event: record.id, attempts }, reason);
            if (deadLetter === undefined) return;
            await this.publishDeadLetter(deadLetterRecord(record, deadLetter, reason, attempts));
          },
        }),
    );
    const deliveries = new DeliveryQueue(
      topic,
      defaultMaxPendingBytes,
      undefined,
      (record, handled) => {
        for (const consumer of consumers) consumer.ended(record, handled);
      },
    );
    const subscription = new DeliverySubscription(topic, handler, settings, deliveries, this);
    this.#consumers.set(subscription, consumers);
    try {
      await this.#open();
      await this.#link.live(what);
      await Promise.all(consumers.map((consumer) => consumer.begin(deliveries)));
    } catch (error) {
      await subscription.close();
      throw natsFailure(error, what);
    }
    if (options.signal !== undefined) subscription.closeOn(options.signal);
    return subscription;
  }

  publishDeadLetter(record: EventRecord): Promise<void> {
    return this.#store(record, undefined);
  }

  async detach(subscription: DeliverySubscription): Promise<void> {
    for (const consumer of this.#consumers.get(subscription) ?? []) consumer.stop();
  }

  forget(subscription: DeliverySubscription): void {
    for (const consumer of this.#consumers.get(subscription) ?? []) consumer.close();
    this.#consumers.delete(subscription);
  }

  close(): Promise<void> {
    this.#closing ??= this.#closeAll();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #closeAll(): Promise<void> {
    await Promise.all([...this.#consumers.keys()].map((each) => each.close()));
    await this.#release();
  }

  #subject(topic: string, part: string): string {
    return `${this.#prefix}.${topic}.${part}`;
  }

  /** Publishes until the stream says that it has the event, or time is up. Its id keeps repetitions apart. */
  async #store(record: EventRecord, signal: AbortSignal | undefined): Promise<void> {
    const what = `publish on ${record.topic}`;
    const giveUpAt = performance.now() + this.#link.timeoutMs;
    let sent = false;
    for (;;) {
      signal?.throwIfAborted();
      try {
        await this.#open();
        await this.#link.live(what);
        const jetstream = await this.#link.jetstream();
        const headers = encodeHeaders(record);
        sent = true;
        await jetstream.publish(this.#subject(record.topic, partOf(record.key)), record.body, {
          headers,
          msgID: `${record.topic}/${record.id}`,
          timeout: Math.max(100, Math.min(tryMs, giveUpAt - performance.now())),
        });
        return;
      } catch (error) {
        // The stream may have gone with its server's data; then it is made again.
        if (isNobodyThere(error)) this.#ready = undefined;
        const failure = natsFailure(error, what);
        const left = giveUpAt - performance.now();
        if (failure.code !== "unavailable" || left <= 0 || this.#link.closed) {
          // What an earlier try did is not known, whatever the last one says.
          throw new MicroError(failure.code, failure.message, {
            cause: error,
            outcome: sent ? "unknown" : "not-executed",
          });
        }
        await sleep(Math.min(left, 50 + 50 * Math.random()));
      }
    }
  }

  /** Makes the stream when it is not there. */
  #open(): Promise<void> {
    this.#ready ??= this.#make().catch((error) => {
      this.#ready = undefined;
      throw natsFailure(error, `open the NATS stream ${this.#stream}`);
    });
    return this.#ready;
  }

  async #make(): Promise<void> {
    const manager = await this.#link.manager();
    const {
      storage = "file",
      replicas = 1,
      maxAgeMs = week,
      duplicateWindowMs = 120_000,
    } = this.#options;
    try {
      await manager.streams.info(this.#stream);
      return;
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
    try {
      await manager.streams.add({
        name: this.#stream,
        subjects: [`${this.#prefix}.>`],
        storage: storage === "file" ? StorageType.File : StorageType.Memory,
        num_replicas: replicas,
        max_age: nanos(maxAgeMs),
        duplicate_window: nanos(Math.min(duplicateWindowMs, maxAgeMs)),
        retention: RetentionPolicy.Limits,
        discard: DiscardPolicy.Old,
      });
    } catch (error) {
      await manager.streams.info(this.#stream).catch(() => {
        throw error;
      });
    }
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

/** The last part of the subject of events without a key. */
const noKey = "none";
/** The last parts of the subjects of events with a key. Never another number: one key is always in one of them. */
const partitions: readonly string[] = Array.from({ length: 16 }, (_, index) => `k${index}`);

function partOf(key: string | undefined): string {
  if (key === undefined) return noKey;
  const [first = 0] = createHash("sha256").update(key).digest();
  return partitions[first % partitions.length] ?? noKey;
}

/** The name of a group's consumer, the same everywhere; of a lone subscription's, one of its own. */
function consumerName(topic: string, queue: string | undefined): string {
  if (queue === undefined) return `micro-${randomUUID()}`;
  const name = `${encodeToken(queue)}=_${encodeToken(topic)}`;
  return name.length <= 120 ? name : `micro-${createHash("sha256").update(name).digest("hex")}`;
}
