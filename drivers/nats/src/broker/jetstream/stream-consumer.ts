import { EventRejected, type Logger, MicroError } from "@micro-es/runtime";
import type { DeliveryQueue, DeliverySettings, EventRecord } from "@micro-es/runtime/driver";
import {
  AckPolicy,
  type ConsumerConfig,
  type ConsumerInfo,
  DeliverPolicy,
  nanos,
  ReplayPolicy,
} from "nats";
import { isNotFound } from "../../link/failure.ts";
import type { NatsLink } from "../../link/link.ts";
import { decodeMessage, undecodedRecord } from "../message.ts";
import type { HandlingCounts, PastHandlings } from "./handling-counts.ts";
import { HeldEvent, type HeldEventHost } from "./held-event.ts";
import { type PulledMessage, PullLoop, type PullLoopHost } from "./pull-loop.ts";

/** Where a new consumer begins. */
export type StreamStart = "new" | "first" | Date | bigint;

/** Options of a {@link StreamConsumer}. */
export interface StreamConsumerOptions {
  readonly link: NatsLink;
  readonly stream: string;
  readonly subject: string;
  readonly topic: string;
  readonly consumer: string;
  /** Whether the consumer persists while it is unused. */
  readonly durable: boolean;
  /**
   * Whether only one event at a time is delivered to any subscriber, so that the order holds across
   * all of them.
   */
  readonly ordered: boolean;
  readonly start: StreamStart;
  readonly ackWaitMs: number;
  readonly maxEventBytes: number;
  readonly settings: DeliverySettings;
  readonly counts: HandlingCounts;
  readonly logger: Logger;
}

/** How long an event stays on the server if its handlings cannot be looked up, in milliseconds. */
const lookUpAgainMs = 1_000;
/**
 * A first handling that takes longer than this, or than a third of ackWaitMs if that is less, is
 * recorded.
 */
const longHandlingMs = 1_000;
/** A handling that takes longer than this was not prompt. */
const promptMs = 1;
/** Events requested ahead while handlers are prompt, for each that may be in flight. */
const aheadPerSlot = 3;
/** A consumer without a name in a schema ends after it has been unused for this long. */
const inactiveMs = 5 * 60_000;
const maxAckPending = 20_000;
/**
 * How many events may have been delivered before although nats-server says otherwise, if it has
 * redelivered any. It forgets one delivery per member that ended, so this suffices, and a backlog
 * is not looked up event by event.
 */
const mostDoubted = 64;

/**
 * Moves the events of one JetStream consumer to a subscription's queue, keeps them reserved while
 * they are there, and acknowledges each when it is finished.
 */
export class StreamConsumer implements PullLoopHost, HeldEventHost {
  readonly consumer: string;
  readonly ackWaitMs: number;
  readonly counts: HandlingCounts;
  readonly #options: StreamConsumerOptions;
  /** By sequence number in the stream. */
  readonly #held = new Map<number, HeldEvent>();
  /** Pending updates to the server about events that are no longer held. */
  readonly #telling = new Set<Promise<void>>();
  readonly #pull: PullLoop;
  readonly #tickMs: number;
  readonly #tick: NodeJS.Timeout;
  readonly #forgetReconnect: () => void;
  #deliveries: DeliveryQueue | undefined;
  /**
   * The last event that arrived here, and the last that is known to have been delivered to any
   * member.
   */
  #lastSequence = 0;
  #lastDelivered = 0;
  /**
   * Events stored until this time, in milliseconds since 1970, may have been delivered before; this
   * many more are checked.
   */
  #doubtedUntil = 0;
  #doubted = 0;
  /** When this process last ran, according to its timers. */
  #tickedAt = performance.now();
  #isDistrusting = false;
  /** How many events in a row were handled at once, up to the number that may be in flight. */
  #prompt = 0;
  /** Whether a handling has ended since this process last looked after what it holds. */
  #hasMoved = true;

  constructor(options: StreamConsumerOptions) {
    const { consumer, ackWaitMs } = options;
    this.consumer = consumer;
    this.ackWaitMs = ackWaitMs;
    this.counts = options.counts;
    this.#options = options;
    this.#pull = new PullLoop(options.link, options.stream, consumer, ackWaitMs, this);
    this.#tickMs = Math.min(longHandlingMs, ackWaitMs / 3);
    this.#tick = setInterval(() => this.#lookAfterHeld(), this.#tickMs);
    this.#tick.unref();
    this.#forgetReconnect = options.link.onReconnect(() => this.#sayInProgress(0));
  }

  /**
   * Creates the consumer and begins to take its events, unless it was already stopped or closed.
   */
  async begin(deliveries: DeliveryQueue): Promise<void> {
    this.#deliveries = deliveries;
    if (this.#pull.closed) return;
    await this.#make();
    await this.#pull.begin();
  }

  /** Takes no more events; held ones are still acknowledged. */
  async stop(): Promise<void> {
    await this.#pull.close();
    if (this.#held.size === 0 || !this.#options.link.connected) return;
    // nats-server 2.9 loses the redelivery of an event that is returned while requests without a
    // listener are pending, such as those of the pull. It drops them when the consumer's info is
    // requested.
    await this.#info().catch((error: unknown) => {
      const { topic, consumer, logger } = this.#options;
      logger.debug({ topic, consumer, error }, "cannot read the state of a consumer at its close");
    });
  }

  /** Ends everything; resolves when all held events are back in the stream. */
  async close(): Promise<void> {
    clearInterval(this.#tick);
    this.#forgetReconnect();
    await this.#pull.close();
    for (const event of this.#held.values()) event.putOff(0);
    await Promise.all(this.#telling);
  }

  get capacity(): number {
    if (this.#options.ordered) return 1;
    const { maxInFlight, maxPending } = this.#options.settings;
    return Math.min(maxInFlight + this.#ahead, maxPending);
  }

  /**
   * How many events are requested beyond those that can be handled at once: none, unless handlers
   * have been returning so fast that they would wait for the server otherwise.
   */
  get #ahead(): number {
    const { maxInFlight } = this.#options.settings;
    return this.#prompt < maxInFlight ? 0 : aheadPerSlot * maxInFlight;
  }

  /**
   * As far as can be known, only events that can be handled at once are requested, apart from
   * {@link #ahead}: an event whose key is busy has to wait here, and the number of those is limited
   * to what may be pending.
   */
  room(): number {
    const deliveries = this.#deliveries;
    if (this.#options.ordered) return this.#held.size === 0 ? 1 : 0;
    if (deliveries === undefined || !deliveries.hasRoomForBytes) return 0;
    const { maxInFlight, maxPending } = this.#options.settings;
    const { pending, startable, postponed } = deliveries;
    const inFlight = this.#held.size - pending;
    // If handlings fail, those that run now may soon wait as well.
    const mayWait = postponed > 0 ? pending + inFlight : pending;
    return Math.min(maxInFlight + this.#ahead - inFlight - startable, maxPending - mayWait);
  }

  take(pulled: PulledMessage): void {
    const now = performance.now();
    if (this.#mayBeStale(now)) return;
    const { topic, maxEventBytes } = this.#options;
    const isRedelivery =
      pulled.deliveries > 1 || pulled.sequence <= this.#lastDelivered || this.#isDoubted(pulled);
    this.#lastSequence = Math.max(this.#lastSequence, pulled.sequence);
    this.#lastDelivered = Math.max(this.#lastDelivered, pulled.sequence);
    const here = this.#held.get(pulled.sequence);
    if (here !== undefined) {
      here.renew(pulled);
      return;
    }
    const event = new HeldEvent(pulled, isRedelivery, this, now);
    this.#held.set(pulled.sequence, event);
    let record: EventRecord;
    try {
      record = decodeMessage(topic, pulled.message, maxEventBytes);
    } catch (error) {
      const failure = new EventRejected(
        `message ${pulled.sequence} of stream ${this.#options.stream} is not an event: ${messageOf(error)}`,
        { cause: error },
      );
      this.#accept(event, undecodedRecord(topic, pulled.message, pulled.sequence), 0, failure);
      return;
    }
    if (event.isRedelivery) void this.#takeAgain(event, record);
    else this.#accept(event, record, 0);
  }

  async restore(): Promise<void> {
    try {
      await this.#info();
    } catch (error) {
      if (!isNotFound(error)) throw error;
      await this.#make();
    }
  }

  placeFree(): void {
    this.#prompt = 0;
    this.#hasMoved = true;
    this.#pull.wake();
  }

  released(event: HeldEvent, telling: Promise<void> | undefined): void {
    this.#hasMoved = true;
    if (event.tookMs > promptMs) this.#prompt = 0;
    else if (this.#prompt < this.#options.settings.maxInFlight) this.#prompt++;
    this.#held.delete(event.sequence);
    if (telling !== undefined) {
      this.#telling.add(telling);
      void telling.then(() => this.#telling.delete(telling));
    }
    this.#pull.wake();
  }

  uncounted({ sequence }: HeldEvent, error: unknown): void {
    const { topic, consumer, logger } = this.#options;
    logger.warn(
      { topic, consumer, sequence, error },
      "cannot update the number of handlings of an event; if it is delivered again, it may be handled more often than maxDeliveries says",
    );
  }

  /** Takes an event that may have been handled before. */
  async #takeAgain(event: HeldEvent, record: EventRecord): Promise<void> {
    const { topic, consumer, logger } = this.#options;
    let past: PastHandlings;
    try {
      past = await this.counts.read(event);
    } catch (error) {
      if (this.#held.get(event.sequence) !== event) return;
      logger.error(
        { topic, consumer, event: record.id, error },
        "cannot look up how often an event was handled, and put it off; this needs read and write access to the bucket of handling counts",
      );
      event.putOff(lookUpAgainMs);
      return;
    }
    // It was closed meanwhile, and the event is back in the stream.
    if (this.#held.get(event.sequence) !== event) return;
    event.began(past.handlings);
    this.#accept(event, record, past.handlings, this.#failureOf(record, past));
  }

  /** Why an event becomes a dead letter without another handling. */
  #failureOf({ id }: EventRecord, { handlings, reason }: PastHandlings): Error | undefined {
    const { topic, settings } = this.#options;
    if (reason !== undefined) return new GivenUpBefore(reason);
    if (handlings < settings.maxDeliveries) return undefined;
    return new MicroError(
      "aborted",
      `event ${id} on ${topic} was handled ${handlings} times, and no handling ended: the process stopped or lost its connection to NATS in the last one`,
    );
  }

  #accept(event: HeldEvent, record: EventRecord, handlings: number, failure?: Error): void {
    if (this.#deliveries?.accept(record, event, handlings, failure) !== true) event.putOff(0);
  }

  /**
   * After this process was suspended, messages arrive that the server sent long ago, and may have
   * redelivered to another member since. Messages that arrived before the server's response to a
   * new request are left to the server to deliver again.
   */
  #mayBeStale(now: number): boolean {
    if (now - this.#tickedAt > this.ackWaitMs && !this.#isDistrusting) {
      this.#isDistrusting = true;
      const trust = () => {
        this.#isDistrusting = false;
      };
      // A lost connection delivers nothing old when it is back.
      this.#options.link
        .open()
        .then((connection) => connection.flush())
        .then(trust, trust);
    }
    return this.#isDistrusting;
  }

  #lookAfterHeld(): void {
    const now = performance.now();
    this.#mayBeStale(now);
    this.#tickedAt = now;
    this.#giveBackIfStuck();
    this.#sayInProgress(this.ackWaitMs / 3);
    if (!this.#options.link.connected) return;
    for (const event of this.#held.values()) event.countLongHandling(now, this.#tickMs);
  }

  /** Leaves events to other members when none of the handlings here comes to an end. */
  #giveBackIfStuck(): void {
    if (!this.#hasMoved && !this.#options.ordered) this.#deliveries?.giveBack();
    this.#hasMoved = false;
  }

  #sayInProgress(everyMs: number): void {
    if (!this.#options.link.connected) return;
    const now = performance.now();
    // Sent at the last tick before it would be too late.
    for (const event of this.#held.values()) event.sayInProgress(now, everyMs - this.#tickMs / 2);
  }

  async #info(): Promise<ConsumerInfo> {
    const { link, stream, consumer } = this.#options;
    const manager = await link.manager();
    return await link.response(manager.consumers.info(stream, consumer));
  }

  /**
   * Determines what was delivered before this member began. nats-server 2.9 forgets deliveries:
   * when an event is due again while only requests of members that ended are pending, it steps back
   * by one event, delivers that with a count of 1, and reports that it was never delivered. It
   * still knows that it has redelivered something.
   */
  #lookBack({ delivered, num_redelivered }: ConsumerInfo): void {
    this.#lastDelivered = Math.max(this.#lastDelivered, delivered.stream_seq);
    // A string, whatever the library's type says.
    const lastDeliveredAt = Date.parse(String(delivered.last_active));
    if (num_redelivered === 0 || Number.isNaN(lastDeliveredAt)) return;
    this.#doubtedUntil = lastDeliveredAt + 1;
    this.#doubted = mostDoubted;
  }

  #isDoubted({ storedAt }: PulledMessage): boolean {
    if (this.#doubted === 0 || Number(storedAt) / 1e6 > this.#doubtedUntil) return false;
    this.#doubted--;
    return true;
  }

  async #make(): Promise<void> {
    const { link, stream, subject, consumer, durable, ackWaitMs } = this.#options;
    const manager = await link.manager();
    const config: Partial<ConsumerConfig> = {
      durable_name: consumer,
      filter_subject: subject,
      ack_policy: AckPolicy.Explicit,
      ack_wait: nanos(ackWaitMs),
      max_deliver: -1,
      max_ack_pending: this.#options.ordered ? 1 : maxAckPending,
      replay_policy: ReplayPolicy.Instant,
      ...(durable ? {} : { inactive_threshold: nanos(inactiveMs) }),
      ...this.#start(),
    };
    if (durable) {
      try {
        // A group continues where it stopped.
        this.#lookBack(await this.#info());
        return;
      } catch (error) {
        if (!isNotFound(error)) throw error;
      }
    }
    await link.response(manager.consumers.add(stream, config));
  }

  #start(): Partial<ConsumerConfig> {
    const { start } = this.#options;
    if (this.#lastSequence > 0) {
      return {
        deliver_policy: DeliverPolicy.StartSequence,
        opt_start_seq: this.#lastSequence + 1,
      };
    }
    if (start === "new") return { deliver_policy: DeliverPolicy.New };
    if (start === "first") return { deliver_policy: DeliverPolicy.All };
    if (typeof start === "bigint") {
      return { deliver_policy: DeliverPolicy.StartSequence, opt_start_seq: Number(start) };
    }
    return { deliver_policy: DeliverPolicy.StartTime, opt_start_time: start.toISOString() };
  }
}

/**
 * An event that was abandoned before and whose dead letter could not be stored; says why it was
 * abandoned.
 */
class GivenUpBefore extends Error {
  override readonly name = "GivenUpBefore";
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
