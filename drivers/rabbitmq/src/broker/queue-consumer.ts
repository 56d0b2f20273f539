import { EventRejected, type Logger, MicroError } from "@micro-es/runtime";
import {
  type Backoff,
  backoffMs,
  type DeliveryQueue,
  type DeliverySettings,
  type EventRecord,
  pauseUntilAborted,
  sharedAbortController,
  untilAborted,
} from "@micro-es/runtime/driver";
import type { ConsumeMessage } from "amqplib";
import { rabbitMqFailure, replyCodeOf, unavailable } from "../link/failure.ts";
import type { RabbitMqLink } from "../link/link.ts";
import { type DeliveryChannel, HeldEvent, type HeldEventHost } from "./held-event.ts";
import type { EventLayout } from "./layout.ts";
import { type PastHandlings, pastHandlings, undecodedRecord } from "./message.ts";
import { declareQueue, type QueuePlan } from "./topology.ts";

/** Options of a {@link QueueConsumer}. */
export interface QueueConsumerOptions {
  readonly link: RabbitMqLink;
  readonly layout: EventLayout;
  readonly plan: QueuePlan;
  readonly topic: string;
  readonly maxEventBytes: number;
  readonly settings: DeliverySettings;
  readonly logger: Logger;
  /** Puts a copy of an event with its handlings at the end of the queue. */
  copy(queue: string, record: EventRecord, past: PastHandlings): Promise<void>;
}

/** A channel that consumes. */
interface Consumption {
  /** Resolves with why the channel ended, which may be undefined. */
  readonly lost: Promise<unknown>;
}

/** Waits before a queue is consumed again that could not be. */
const backoff: Backoff = { firstMs: 50, factor: 2, mostMs: 5_000, jitter: 0.3 };
const timedOut = /acknowledgement on channel \d+ timed out/;

/**
 * Moves the events of one queue to a subscription's queue, and acknowledges each when it is
 * finished. It consumes again after each loss of its channel, until it is closed.
 */
export class QueueConsumer implements HeldEventHost {
  readonly copy: HeldEventHost["copy"];
  readonly #options: QueueConsumerOptions;
  readonly #held = new Set<HeldEvent>();
  /** By id, the events that this member had when its channel was lost, until they come again. */
  readonly #stale = new Map<string, HeldEvent>();
  /** Events that are on their way back to the queue. */
  readonly #returning = new Set<Promise<void>>();
  readonly #closing: AbortController = sharedAbortController();
  #deliveries: DeliveryQueue | undefined;
  #current: DeliveryChannel | undefined;
  #consumerTag = "";
  #isStopped = false;
  #keeping: Promise<void> | undefined;
  #ended: () => void = () => {};

  constructor(options: QueueConsumerOptions) {
    this.#options = options;
    const { plan, copy } = options;
    // A copy goes to the end of the queue, and a queue of one subscription ends with it.
    this.copy =
      plan.ordered || plan.lone ? undefined : (record, past) => copy(plan.name, record, past);
  }

  /**
   * Declares the queue and begins to take its events, unless it was already stopped or closed.
   * @throws MicroError when that is not possible.
   */
  async begin(deliveries: DeliveryQueue): Promise<void> {
    this.#deliveries = deliveries;
    if (this.#isOver) return;
    this.#keeping = this.#keep(await this.#consume());
  }

  /** Takes no more events; held ones are still acknowledged. */
  async stop(): Promise<void> {
    if (this.#isStopped) return;
    this.#isStopped = true;
    const { plan, link, topic } = this.#options;
    // It is still being set up.
    if (this.#keeping === undefined) this.#closing.abort(subscriptionClosed());
    if (plan.ordered) {
      // Another member would be active at once if this one cancelled, and get the next events
      // while the present one is handled.
      if (this.#held.size === 0) await this.#endChannel();
      return;
    }
    const on = this.#current;
    if (on?.isOpen !== true) return;
    const what = `end the subscription to ${topic}`;
    await link
      .response(on.channel.cancel(this.#consumerTag), what)
      .catch((error: unknown) => this.#log("debug", error, "cannot cancel a consumer"));
  }

  /** Ends everything; resolves when all held events are back in the queue. */
  async close(): Promise<void> {
    this.#isStopped = true;
    for (const event of [...this.#held]) {
      event.putBack();
      this.#held.delete(event);
    }
    await Promise.all(this.#returning);
    if (this.#options.plan.lone) await this.#deleteQueue();
    this.#closing.abort(subscriptionClosed());
    await this.#endChannel();
    await this.#keeping;
    this.#options.link.trouble(this, undefined);
  }

  released(event: HeldEvent, returning: Promise<void> | undefined): void {
    this.#held.delete(event);
    if (returning !== undefined) {
      this.#returning.add(returning);
      void returning.then(() => this.#returning.delete(returning));
    }
    // The acknowledgement is on its way before the channel ends.
    if (this.#isStopped && this.#options.plan.ordered && this.#held.size === 0) {
      void this.#endChannel();
    }
  }

  get #isOver(): boolean {
    return this.#isStopped || this.#closing.signal.aborted;
  }

  /** Consumes again after each loss. */
  async #keep(first: Consumption): Promise<void> {
    const { link, plan } = this.#options;
    const { signal } = this.#closing;
    let reason = await first.lost;
    for (let failures = 0; !this.#isOver; ) {
      this.#explainLoss(reason);
      try {
        if (failures > 0)
          await pauseUntilAborted(backoffMs(backoff, failures, Math.random), signal);
        await link.consuming.untilConnected(signal);
        if (this.#isOver) return;
        const { lost } = await this.#consume();
        link.trouble(this, undefined);
        failures = 0;
        reason = await lost;
      } catch (error) {
        reason = undefined;
        failures++;
        if (this.#isOver) return;
        const failure = rabbitMqFailure(error, `consume from ${plan.name}`);
        if (failures === 1) this.#log("warn", failure, "cannot consume from a queue; trying again");
        if (link.consuming.model !== undefined) link.trouble(this, failure);
      }
    }
  }

  async #consume(): Promise<Consumption> {
    const { link, layout, plan, topic } = this.#options;
    const { signal } = this.#closing;
    const what = `subscribe to ${topic}`;
    const model = await link.consuming.open(signal);
    const channel = await link.channel(model.createChannel(), what, signal);
    const on: DeliveryChannel = { channel, isOpen: true };
    let cause: unknown;
    const lost = new Promise<unknown>((resolve) => {
      const ended = () => {
        this.#lose(on);
        resolve(cause);
      };
      this.#ended = ended;
      // An error without a listener would end the process.
      channel.on("error", (error) => {
        cause = error;
        on.isOpen = false;
      });
      channel.on("close", ended);
    });
    this.#current = on;
    try {
      const setUp = async () => {
        await declareQueue(channel, layout.exchange, plan);
        await channel.prefetch(plan.prefetch);
        const take = (message: ConsumeMessage | null) => {
          if (message !== null) return this.#take(message, on);
          cause = new QueueGone();
          void this.#endChannel();
        };
        const { consumerTag } = await channel.consume(plan.name, take);
        this.#consumerTag = consumerTag;
      };
      await untilAborted(link.response(setUp(), what), signal);
    } catch (error) {
      await this.#endChannel();
      throw error;
    }
    return { lost };
  }

  #take(message: ConsumeMessage, on: DeliveryChannel): void {
    // An ordered queue delivers until its channel ends; those events are not handed out.
    if (!on.isOpen || (this.#isStopped && this.#options.plan.ordered)) return;
    const { layout, topic, maxEventBytes, settings } = this.#options;
    let past = pastHandlings(message);
    const before = message.fields.redelivered ? this.#takeStale(message) : undefined;
    if (before !== undefined && this.#renew(before, message, on)) return;
    if (before !== undefined && before.attempts > past.attempts) {
      past = { ...past, attempts: before.attempts };
    }
    let record: EventRecord;
    let failure: Error | undefined;
    try {
      record = layout.decode(topic, message, maxEventBytes);
      failure = failureOf(record, past, settings.maxDeliveries);
    } catch (error) {
      record = undecodedRecord(topic, message);
      failure = new EventRejected(
        `a message of the queue ${this.#options.plan.name} is not an event: ${messageOf(error)}`,
        { cause: error },
      );
    }
    const event = new HeldEvent(record, message, on, past.attempts, this);
    this.#held.add(event);
    if (this.#deliveries?.accept(record, event, past.attempts, failure) === true) return;
    event.putBack();
    this.released(event, undefined);
  }

  /** The event, if this member had it when its channel was lost. */
  #takeStale({ properties }: ConsumeMessage): HeldEvent | undefined {
    const id = String(properties.messageId);
    const event = this.#stale.get(id);
    this.#stale.delete(id);
    return event;
  }

  /** Whether the event is still held, or was handled meanwhile. */
  #renew(event: HeldEvent, message: ConsumeMessage, on: DeliveryChannel): boolean {
    if (!event.isHandled && !this.#held.has(event)) return false;
    event.renew(message, on);
    if (event.isHandled) event.acknowledge();
    return true;
  }

  #lose(on: DeliveryChannel): void {
    on.isOpen = false;
    if (this.#current === on) this.#current = undefined;
    // The queue delivers them again; those of an earlier loss were delivered since.
    this.#stale.clear();
    for (const event of this.#held) this.#stale.set(event.record.id, event);
  }

  /** Closes the channel; events without an acknowledgement return to their place in the queue. */
  async #endChannel(): Promise<void> {
    const on = this.#current;
    if (on === undefined) return;
    const { link, topic } = this.#options;
    const wasOpen = on.isOpen;
    const ended = this.#ended;
    // Nothing may be sent on a channel that is closing.
    on.isOpen = false;
    if (wasOpen) {
      await link
        .response(
          Promise.resolve().then(() => on.channel.close()),
          `end the subscription to ${topic}`,
        )
        .catch((error: unknown) => this.#log("debug", error, "cannot close a channel"));
    }
    ended();
  }

  async #deleteQueue(): Promise<void> {
    const { link, plan, topic } = this.#options;
    const on = this.#current;
    // A queue that cannot be deleted now expires.
    if (on?.isOpen !== true) return;
    await link
      .response(on.channel.deleteQueue(plan.name), `end the subscription to ${topic}`)
      .catch((error: unknown) => this.#log("debug", error, "cannot delete a queue; it expires"));
  }

  #explainLoss(cause: unknown): void {
    const { plan } = this.#options;
    if (cause instanceof QueueGone) {
      const message =
        "RabbitMQ ended the consumption of a queue, as when it is deleted; the queue is declared again, and events that it had are gone";
      this.#log("error", undefined, message);
    } else if (timedOut.test(messageOf(cause))) {
      const message =
        "a handler took longer than RabbitMQ allows (consumer_timeout), so the events of this member may be delivered to others; raise it, or set handlerTimeoutMs";
      this.#log("error", cause, message);
    } else if (replyCodeOf(cause ?? {}) !== undefined) {
      this.#log("warn", cause, `RabbitMQ closed the channel of ${plan.name}; consuming again`);
    }
  }

  #log(level: "debug" | "warn" | "error", error: unknown, message: string): void {
    const { topic, plan, logger } = this.#options;
    const fields = { topic, queue: plan.name };
    logger[level](error === undefined ? fields : { ...fields, error }, message);
  }
}

function subscriptionClosed(): MicroError {
  return unavailable("the subscription is closed");
}

/** The server ended the consumption. */
class QueueGone extends Error {}

/** Why an event becomes a dead letter without another handling. */
function failureOf(
  { id, topic }: EventRecord,
  { attempts, reason }: PastHandlings,
  maxDeliveries: number,
): Error | undefined {
  if (reason !== undefined) return new GivenUpBefore(reason);
  if (attempts < maxDeliveries) return undefined;
  return new MicroError(
    "aborted",
    `event ${id} on ${topic} was delivered ${attempts} times, and no handling ended: the process stopped or lost its connection to RabbitMQ`,
  );
}

/** An event that was abandoned before; says why. */
class GivenUpBefore extends Error {
  override readonly name = "GivenUpBefore";
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
