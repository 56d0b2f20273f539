import { AckPolicy, type ConsumerConfig, DeliverPolicy, type Msg, nanos, ReplayPolicy } from "nats";
import type { Logger } from "../../logger.ts";
import { isNotFound } from "../../nats/failure.ts";
import type { NatsLink } from "../../nats/link.ts";
import type { DeliverySettings } from "../delivery.ts";
import type { DeliveryQueue } from "../delivery-queue.ts";
import type { EventRecord } from "../event.ts";
import { decodeMessage } from "./message.ts";
import { Pull, type PulledMessage, type PullHost } from "./pull.ts";

/** Where a consumer begins when it is made. */
export type StreamStart = "new" | "first" | Date | bigint;

/** What a {@link StreamConsumer} takes from where. */
export interface StreamConsumerOptions {
  readonly link: NatsLink;
  readonly stream: string;
  readonly subject: string;
  readonly topic: string;
  readonly consumer: string;
  /** Whether the consumer stays when nobody uses it. */
  readonly durable: boolean;
  /** Whether only one event at a time is with any subscriber, so that their order holds over all of them. */
  readonly ordered: boolean;
  readonly start: StreamStart;
  readonly ackWaitMs: number;
  readonly maxEventBytes: number;
  readonly settings: DeliverySettings;
  readonly logger: Logger;
  /** Keeps an event that was delivered too often already. Rejects when that cannot be. */
  giveUp(record: EventRecord, attempts: number): Promise<void>;
}

/** An event that is here. */
interface Held {
  readonly message: Msg;
  /** When the server was last told that it is. */
  toldAt: number;
}

/** How long an event that can neither be handled nor be kept elsewhere stays with the server. */
const giveUpAgainMs = 2_000;
/** A consumer without a name in a schema ends when nobody asked it for this long. */
const inactiveMs = 5 * 60_000;
const maxAckPending = 20_000;

/**
 * Brings the events of one JetStream consumer to a subscription's queue, keeps them its own while they are there,
 * and acknowledges each when it is done with.
 */
export class StreamConsumer implements PullHost {
  readonly #options: StreamConsumerOptions;
  readonly #held = new Map<EventRecord, Held>();
  readonly #pull: Pull;
  readonly #progress: NodeJS.Timeout;
  readonly #forgetReconnect: () => void;
  #deliveries: DeliveryQueue | undefined;
  #lastSequence = 0;

  constructor(options: StreamConsumerOptions) {
    this.#options = options;
    this.#pull = new Pull(options.link, options.stream, options.consumer, this);
    this.#progress = setInterval(() => this.#sayInProgress(), options.ackWaitMs / 3);
    this.#progress.unref();
    this.#forgetReconnect = options.link.onReconnect(() => this.#sayInProgress());
  }

  /** Makes the consumer and begins to take its events. */
  async begin(deliveries: DeliveryQueue): Promise<void> {
    this.#deliveries = deliveries;
    await this.#make();
    await this.#pull.begin();
  }

  /** Takes nothing more; what is held is still acknowledged. */
  stop(): Promise<void> {
    return this.#pull.close();
  }

  /** Ends everything; what is held goes back to the stream. */
  close(): void {
    void this.#pull.close();
    clearInterval(this.#progress);
    this.#forgetReconnect();
    for (const record of this.#held.keys()) this.ended(record, false);
  }

  /** An event was handled or given up for good, or goes back. */
  ended(record: EventRecord, handled: boolean): void {
    this.#let(record, handled ? "+ACK" : "-NAK");
  }

  room(): number {
    if (this.#options.ordered) return this.#held.size === 0 ? 1 : 0;
    const { maxInFlight, maxPending } = this.#options.settings;
    const prefetch = Math.min(2 * maxInFlight, maxInFlight + maxPending);
    // Few at a time cost a request each.
    const room = prefetch - this.#held.size;
    return room >= prefetch / 2 ? room : 0;
  }

  take({ message, deliveries, sequence }: PulledMessage): void {
    const { topic, settings, maxEventBytes, logger } = this.#options;
    this.#lastSequence = Math.max(this.#lastSequence, sequence);
    let record: EventRecord;
    try {
      record = decodeMessage(topic, message, maxEventBytes);
    } catch (error) {
      logger.error({ topic, sequence, error }, "a message that is no event was taken out");
      message.respond("+TERM");
      return;
    }
    this.#held.set(record, { message, toldAt: performance.now() });
    if (deliveries > settings.maxDeliveries) {
      void this.#giveUp(record, deliveries - 1);
      return;
    }
    if (this.#deliveries?.offer(record, deliveries - 1) !== true) this.ended(record, false);
  }

  async restore(): Promise<void> {
    const { link, stream, consumer } = this.#options;
    const manager = await link.manager();
    try {
      await link.answer(manager.consumers.info(stream, consumer));
    } catch (error) {
      if (!isNotFound(error)) throw error;
      await this.#make();
    }
  }

  async #giveUp(record: EventRecord, attempts: number): Promise<void> {
    try {
      await this.#options.giveUp(record, attempts);
      this.ended(record, true);
    } catch {
      this.#let(record, `-NAK ${JSON.stringify({ delay: nanos(giveUpAgainMs) })}`);
    }
  }

  /**
   * Lets go of an event. One that was not spoken of for longer than the server waits has been delivered to another,
   * whose it is now; JetStream would take this word for the other's.
   */
  #let(record: EventRecord, word: string): void {
    const held = this.#held.get(record);
    if (held === undefined) return;
    this.#held.delete(record);
    if (this.#isOurs(held)) held.message.respond(word);
    this.#pull.wake();
  }

  #isOurs({ toldAt }: Held): boolean {
    return performance.now() - toldAt < this.#options.ackWaitMs;
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
        // A group goes on where it stopped.
        await link.answer(manager.consumers.info(stream, consumer));
        return;
      } catch (error) {
        if (!isNotFound(error)) throw error;
      }
    }
    await link.answer(manager.consumers.add(stream, config));
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

  #sayInProgress(): void {
    if (!this.#options.link.connected) return;
    for (const held of this.#held.values()) {
      if (!this.#isOurs(held)) continue;
      held.message.respond("+WPI");
      held.toldAt = performance.now();
    }
  }
}
