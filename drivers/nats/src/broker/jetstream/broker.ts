import { createHash, randomUUID } from "node:crypto";
import {
  type Broker,
  type DeadLetters,
  type EventHandler,
  MicroError,
  type PublishOptions,
  type SubscribeOptions,
  type Subscription,
} from "@micro-es/runtime";
import {
  abortedPublication,
  type BrokerGuarantees,
  checkOptions,
  DeliveryQueue,
  defaultMaxPendingBytes,
  deliverySettings,
  durationMs,
  type EventRecord,
  LocalSubscription,
  oneOf,
  subscribeKinds,
  text,
  throwIfAborted,
  untilAborted,
  waitUntilAborted,
  withCancellation,
} from "@micro-es/runtime/driver";
import { DiscardPolicy, nanos, RetentionPolicy, StorageType } from "nats";
import { NatsBucket } from "../../link/bucket.ts";
import { isNobodyThere, isNotFound, natsFailure } from "../../link/failure.ts";
import { replicas } from "../../link/option-kinds.ts";
import { checkBucketName, encodeToken } from "../../link/token.ts";
import { EventDriver, type EventDriverOptions, eventDriverKinds } from "../event-driver.ts";
import { checkSubject, defaultMaxNatsEventBytes, encodeHeaders } from "../message.ts";
import { encodedHeaders } from "../publish-message.ts";
import { HandlingCounts } from "./handling-counts.ts";
import { StoreRequests } from "./store-requests.ts";
import { StreamConsumer } from "./stream-consumer.ts";
import { StreamDeadLetters } from "./stream-dead-letters.ts";
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

/** The progress of a publication, for one that is aborted. */
interface PublishProgress {
  /** Whether an earlier attempt may have stored the event. */
  isUnsure: boolean;
  isSending: boolean;
}

const week = 7 * 24 * 3_600_000;
/**
 * The timeout of the first publish attempt, in milliseconds. An attempt without a response is
 * repeated with the same id and twice the time, so that an overloaded server is not loaded further.
 */
const firstTryMs = 1_500;
/**
 * An attempt with less time left would more likely time out than get a response, in milliseconds.
 */
const leastTryMs = 200;
/** The first wait between attempts, in milliseconds; each is twice the previous one. */
const firstPauseMs = 50;
const longestPauseMs = 250;

/**
 * A broker on NATS JetStream: at least once. Publishing resolves when the stream has stored the
 * event. A queue group is a durable consumer, which keeps its position while it has no members; a
 * subscription without a queue group receives events from when it starts. A failed handling is
 * retried here; the event of a process that dies is redelivered elsewhere, after `ackWaitMs`.
 * Handlers may take as long as they like.
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

class JetStreamBroker extends EventDriver<readonly StreamConsumer[]> implements Broker {
  readonly name = "jetstream";
  readonly keepsEvents = true;
  readonly keepsDeadLetters = true;
  readonly guarantees: BrokerGuarantees;
  readonly deadLetters: DeadLetters;
  readonly #options: JetStreamBrokerOptions;
  readonly #stream: string;
  readonly #prefix: string;
  readonly #counts: HandlingCounts;
  readonly #requests: StoreRequests;
  #ready: Promise<void> | undefined;
  /** Whether {@link #ready} has been fulfilled. */
  #isReady = false;

  constructor(options: JetStreamBrokerOptions) {
    super(options);
    this.#options = options;
    this.#stream = options.stream ?? "micro-events";
    this.#prefix = options.prefix ?? "micro.events";
    checkBucketName(this.#stream);
    checkSubject(this.#prefix);
    const { maxAgeMs = week, storage = "file", replicas = 1 } = options;
    const bucket = `${this.#stream}-handlings`;
    this.#counts = new HandlingCounts(
      new NatsBucket(this.link, bucket, { storage, replicas, maxAgeMs }),
    );
    this.#requests = new StoreRequests(this.link, Math.min(firstTryMs, this.link.timeoutMs));
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
          counts: this.#counts,
          logger: this.logger,
        }),
    );
    const deliveries = new DeliveryQueue(topic, defaultMaxPendingBytes);
    const subscription = new LocalSubscription(topic, handler, settings, deliveries, this);
    this.sources.set(subscription, consumers);
    subscription.closeOn(options.signal);
    const setUp = async () => {
      await this.#open();
      await this.link.live(what);
      await Promise.all(consumers.map((consumer) => consumer.begin(deliveries)));
    };
    return this.established(what, subscription, setUp(), options.signal);
  }

  async detach(subscription: LocalSubscription): Promise<void> {
    const consumers = this.sources.get(subscription) ?? [];
    await Promise.all(consumers.map((consumer) => consumer.stop()));
  }

  override async forget(subscription: LocalSubscription): Promise<void> {
    const consumers = this.sources.get(subscription) ?? [];
    await Promise.all(consumers.map((consumer) => consumer.close()));
    super.forget(subscription);
  }

  #subject(topic: string, part: string): string {
    return `${this.#prefix}.${topic}.${part}`;
  }

  /**
   * Publishes until the stream confirms that it has the event, or time is up. Its id, and for a
   * dead letter the group that gave up, distinguish a repetition from another event.
   */
  protected override send(
    record: EventRecord,
    options: PublishOptions,
    queue?: string,
  ): Promise<void> {
    const { signal, context } = options;
    const isSimple = signal === undefined && context === undefined && this.#isReady;
    const connection = isSimple ? this.link.liveNow : undefined;
    if (connection === undefined) return this.#sendOrAbort(record, options, queue);
    const giveUpAt = performance.now() + this.link.timeoutMs;
    return new Promise<void>((resolve, reject) => {
      this.#requests.send(
        connection,
        this.#subject(record.topic, partOf(record.key)),
        encodeHeaders(record, messageId(record, queue)),
        record.body,
        {
          stored: resolve,
          failed: (isUnsure) => {
            const progress = { isUnsure, isSending: false };
            this.#store(record, queue, progress, undefined, giveUpAt).then(resolve, reject);
          },
        },
      );
    });
  }

  async #sendOrAbort(
    record: EventRecord,
    options: PublishOptions,
    queue: string | undefined,
  ): Promise<void> {
    const giveUpAt = performance.now() + this.link.timeoutMs;
    await withCancellation(options, async (signal) => {
      throwIfAborted(signal);
      const progress: PublishProgress = { isUnsure: false, isSending: false };
      await untilAborted(this.#store(record, queue, progress, signal, giveUpAt), signal, {
        error: (reason) => abortedPublication(reason, progress.isUnsure || progress.isSending),
      });
    });
  }

  async #store(
    record: EventRecord,
    queue: string | undefined,
    progress: PublishProgress,
    signal: AbortSignal | undefined,
    giveUpAt: number,
  ): Promise<void> {
    const what = `publish on ${record.topic}`;
    let tryMs = progress.isUnsure ? 2 * firstTryMs : firstTryMs;
    for (let pauseMs = firstPauseMs; ; pauseMs = Math.min(longestPauseMs, 2 * pauseMs)) {
      try {
        await this.#open();
        await this.link.live(what);
        const jetstream = await this.link.jetstream();
        // The caller no longer waits for it.
        if (signal?.aborted === true) return;
        const subject = this.#subject(record.topic, partOf(record.key));
        progress.isSending = true;
        const kept = jetstream.publish(subject, record.body, {
          headers: encodedHeaders(encodeHeaders(record, messageId(record, queue))),
          timeout: Math.max(leastTryMs, Math.min(tryMs, giveUpAt - performance.now())),
        });
        await this.link.response(kept);
        return;
      } catch (error) {
        // The stream may have been lost with its server's data; it is created again then.
        if (isNobodyThere(error)) this.#forgetStream();
        const failure = natsFailure(error, what);
        progress.isSending = false;
        if (failure.outcome !== "not-executed") {
          progress.isUnsure = true;
          tryMs *= 2;
        }
        const pause = pauseMs * (0.75 + 0.5 * Math.random());
        const late = giveUpAt - performance.now() < pause + leastTryMs;
        // While the connection is lost only the outcome of an earlier attempt, which may have
        // stored the event, is waited for.
        const lost = !progress.isUnsure && this.link.status.state === "lost";
        if (failure.code !== "unavailable" || late || lost || this.link.closed) {
          // The outcome of an earlier attempt is unknown, whatever the last one reports.
          throw new MicroError(failure.code, failure.message, {
            cause: error,
            outcome: progress.isUnsure ? "unknown" : "not-executed",
          });
        }
        await waitUntilAborted(signal, (done) => {
          const timer = setTimeout(done, pause);
          return () => clearTimeout(timer);
        });
        if (signal?.aborted === true) return;
      }
    }
  }

  /** Creates the stream if it does not exist. */
  #open(): Promise<void> {
    this.#ready ??= this.#make().then(
      () => {
        this.#isReady = true;
      },
      (error) => {
        this.#forgetStream();
        throw natsFailure(error, `open the NATS stream ${this.#stream}`);
      },
    );
    return this.#ready;
  }

  #forgetStream(): void {
    this.#ready = undefined;
    this.#isReady = false;
  }

  protected override async end(): Promise<void> {
    await super.end();
    await this.#requests.close();
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
      await this.link.response(manager.streams.info(this.#stream));
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
      await this.link.response(made);
    } catch (error) {
      await manager.streams.info(this.#stream).catch(() => {
        throw error;
      });
    }
  }
}

/** Identifies an event to the stream: its id, and for a dead letter the group that rejected it. */
function messageId({ topic, id, replay }: EventRecord, queue: string | undefined): string {
  let identity = `${topic}/${id}`;
  if (replay !== undefined) identity += `/${replay}`;
  return queue === undefined ? identity : `${identity}/${queue}`;
}

/** The last part of the subject of events without a key. */
const noKey = "none";
/**
 * The last parts of the subjects of events with a key. Their number must never change: a key always
 * maps to the same one.
 */
const partitions: readonly string[] = Array.from({ length: 16 }, (_, index) => `k${index}`);

function partOf(key: string | undefined): string {
  if (key === undefined) return noKey;
  const [first = 0] = createHash("sha256").update(key).digest();
  return partitions[first % partitions.length] ?? noKey;
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
