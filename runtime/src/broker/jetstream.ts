import { createHash, randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { DiscardPolicy, nanos, RetentionPolicy, StorageType } from "nats";
import { MicroError } from "../error.ts";
import { isNobodyThere, isNotFound, natsFailure } from "../nats/failure.ts";
import { checkBucketName, encodeToken } from "../nats/token.ts";
import type {
  Broker,
  BrokerGuarantees,
  EventHandler,
  PublishOptions,
  SubscribeOptions,
  Subscription,
} from "./broker.ts";
import { deadLetterRecord } from "./dead-letter.ts";
import type { DeadLetters } from "./dead-letters.ts";
import { DeliverySubscription, deliverySettings } from "./delivery.ts";
import { DeliveryQueue, defaultMaxPendingBytes } from "./delivery-queue.ts";
import { cancellation, type EventRecord } from "./event.ts";
import { EventDriver, type EventDriverOptions } from "./nats/event-driver.ts";
import { checkSubject, defaultMaxNatsEventBytes, encodeHeaders } from "./nats/message.ts";
import { StreamConsumer } from "./nats/stream-consumer.ts";
import { StreamDeadLetters } from "./nats/stream-dead-letters.ts";

/** Options of {@link jetstreamBroker}. */
export type JetStreamBrokerOptions = EventDriverOptions & {
  /**
   * `key` keeps the order of events of one key over all members of a queue group, redeliveries included: keys fall into
   * 16 partitions, of which each has one event handled at a time. It costs 17 consumers a subscription. All members of
   * a group have to say the same. Default `none`.
   */
  readonly ordering?: "none" | "key";
  /** The stream that keeps events; made when it is not there. Default `micro-events`. */
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
};

const week = 7 * 24 * 3_600_000;
/**
 * The first try to publish, in milliseconds; one that hears nothing is repeated under the same id, and given twice the
 * time, so that a server with too much to do is not given more.
 */
const firstTryMs = 1_500;
/** A try that begins with less time left would more likely be in doubt than answered, in milliseconds. */
const leastTryMs = 200;
/** The waits between tries, in milliseconds; each is twice the one before. */
const firstPauseMs = 50;
const longestPauseMs = 250;

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

class JetStreamBroker extends EventDriver<readonly StreamConsumer[]> implements Broker {
  readonly name = "jetstream";
  readonly keepsEvents = true;
  readonly guarantees: BrokerGuarantees;
  readonly deadLetters: DeadLetters;
  readonly #options: JetStreamBrokerOptions;
  readonly #stream: string;
  readonly #prefix: string;
  #ready: Promise<void> | undefined;

  constructor(options: JetStreamBrokerOptions) {
    super(options);
    this.#options = options;
    this.#stream = options.stream ?? "micro-events";
    this.#prefix = options.prefix ?? "micro.events";
    checkBucketName(this.#stream);
    checkSubject(this.#prefix);
    this.deadLetters = new StreamDeadLetters({
      link: this.link,
      stream: this.#stream,
      prefix: this.#prefix,
      maxEventBytes: options.maxEventBytes ?? defaultMaxNatsEventBytes,
      check: (what, signal) => this.check(what, signal),
      publish: (record, signal) => this.send(record, signal === undefined ? {} : { signal }),
    });
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

  async subscribe(
    topic: string,
    handler: EventHandler,
    options: SubscribeOptions = {},
  ): Promise<Subscription> {
    const what = `subscribe to ${topic}`;
    this.check(what, options.signal);
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
          link: this.link,
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
    this.sources.set(subscription, consumers);
    try {
      await this.#open();
      await this.link.live(what);
      await Promise.all(consumers.map((consumer) => consumer.begin(deliveries)));
    } catch (error) {
      await subscription.close();
      throw natsFailure(error, what);
    }
    if (options.signal !== undefined) subscription.closeOn(options.signal);
    return subscription;
  }

  async detach(subscription: DeliverySubscription): Promise<void> {
    const consumers = this.sources.get(subscription) ?? [];
    await Promise.all(consumers.map((consumer) => consumer.stop()));
  }

  override forget(subscription: DeliverySubscription): void {
    for (const consumer of this.sources.get(subscription) ?? []) consumer.close();
    super.forget(subscription);
  }

  #subject(topic: string, part: string): string {
    return `${this.#prefix}.${topic}.${part}`;
  }

  /** Publishes until the stream says that it has the event, or time is up. Its id keeps repetitions apart. */
  protected override async send(record: EventRecord, options: PublishOptions): Promise<void> {
    const signal = cancellation(options);
    const what = `publish on ${record.topic}`;
    const giveUpAt = performance.now() + this.link.timeoutMs;
    let unsure = false;
    let tryMs = firstTryMs;
    for (let pauseMs = firstPauseMs; ; pauseMs = Math.min(longestPauseMs, 2 * pauseMs)) {
      signal?.throwIfAborted();
      try {
        await this.#open();
        await this.link.live(what);
        const jetstream = await this.link.jetstream();
        const headers = encodeHeaders(record);
        const subject = this.#subject(record.topic, partOf(record.key));
        const kept = jetstream.publish(subject, record.body, {
          headers,
          msgID: [record.topic, record.id, record.replay]
            .filter((it) => it !== undefined)
            .join("/"),
          timeout: Math.max(leastTryMs, Math.min(tryMs, giveUpAt - performance.now())),
        });
        await this.link.answer(kept);
        return;
      } catch (error) {
        // The stream may have gone with its server's data; then it is made again.
        if (isNobodyThere(error)) this.#ready = undefined;
        const failure = natsFailure(error, what);
        if (failure.outcome !== "not-executed") {
          unsure = true;
          tryMs *= 2;
        }
        const pause = pauseMs * (0.75 + 0.5 * Math.random());
        const late = giveUpAt - performance.now() < pause + leastTryMs;
        if (failure.code !== "unavailable" || late || this.link.closed) {
          // What an earlier try did is not known, whatever the last one says.
          throw new MicroError(failure.code, failure.message, {
            cause: error,
            outcome: unsure ? "unknown" : "not-executed",
          });
        }
        await sleep(pause);
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
    const manager = await this.link.manager();
    const {
      storage = "file",
      replicas = 1,
      maxAgeMs = week,
      duplicateWindowMs = 120_000,
    } = this.#options;
    try {
      await this.link.answer(manager.streams.info(this.#stream));
      return;
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
    try {
      const made = manager.streams.add({
        name: this.#stream,
        subjects: [`${this.#prefix}.>`],
        storage: storage === "file" ? StorageType.File : StorageType.Memory,
        num_replicas: replicas,
        max_age: nanos(maxAgeMs),
        duplicate_window: nanos(Math.min(duplicateWindowMs, maxAgeMs)),
        retention: RetentionPolicy.Limits,
        discard: DiscardPolicy.Old,
      });
      await this.link.answer(made);
    } catch (error) {
      await manager.streams.info(this.#stream).catch(() => {
        throw error;
      });
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
