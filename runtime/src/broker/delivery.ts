import { type Deadline, DeadlineSweep, deadlineAfter, hasPassed } from "../deadline.ts";
import { MicroError } from "../error.ts";
import type { Logger } from "../logger.ts";
import {
  type EventHandler,
  EventRejected,
  type SubscribeOptions,
  type Subscription,
  type SubscriptionStats,
} from "./broker.ts";
import { deadLetterRecord, describe } from "./dead-letter.ts";
import type { Burial, Consumer, Delivery, DeliveryQueue } from "./delivery-queue.ts";
import { checkQueue, checkTopic, DeliveredEvent, type EventRecord } from "./event.ts";
import { eventDeadline } from "./event-deadline.ts";

/** What a broker that delivers inside the process gives to its subscriptions. */
export interface DeliveryHost {
  readonly logger: Logger;
  /** How long a closing subscription waits for its handlers, in milliseconds. */
  readonly closeGraceMs: number;
  /**
   * Whether an event stays with the broker until it is done with. Then one whose dead letter cannot be published is not
   * given up: that is tried for as long as the subscription is open, and then the event goes back.
   */
  readonly keepsEvents?: boolean;
  /** Publishes an event that was given up. */
  publishDeadLetter(record: EventRecord): Promise<void>;
  /** Tells others that a closing subscription wants no more events. Never rejects. */
  detach?(subscription: DeliverySubscription): Promise<void>;
  /** Told when a subscription has closed. */
  forget(subscription: DeliverySubscription): void;
}

/** How long a closing subscription waits for its handlers unless told otherwise, in milliseconds. */
export const defaultCloseGraceMs = 10_000;

/** Subscription options with their defaults. */
export type DeliverySettings = Readonly<
  Required<Omit<SubscribeOptions, "queue" | "deadLetter" | "signal" | "handlerTimeoutMs" | "from">>
> & {
  readonly queue: string | undefined;
  readonly deadLetter: string | undefined;
  /** Infinity when there is none. */
  readonly handlerTimeoutMs: number;
};

/**
 * Checks a subscription's topic and options, for a broker that keeps nothing to begin `from`.
 * @throws MicroError `invalid_argument` that names the option; `unimplemented` for `from`.
 */
export function deliverySettings(topic: string, options: SubscribeOptions = {}): DeliverySettings {
  checkTopic(topic);
  if (options.from !== undefined) {
    throw new MicroError(
      "unimplemented",
      `cannot subscribe to ${topic} from an earlier time: this broker keeps no events; use one with guarantees.replay`,
      { outcome: "not-executed" },
    );
  }
  if (options.queue !== undefined) checkQueue(options.queue);
  if (options.deadLetter !== undefined) checkTopic(options.deadLetter);
  if (options.deadLetter === topic) {
    throw invalid(`deadLetter of the subscription to ${topic} is that topic itself; name another`);
  }
  return {
    queue: options.queue,
    maxInFlight: atLeast("maxInFlight", options.maxInFlight ?? 64, 1),
    maxPending: atLeast("maxPending", options.maxPending ?? 1024, 1),
    maxDeliveries: atLeast("maxDeliveries", options.maxDeliveries ?? 5, 1),
    redeliveryBackoffMs: atLeast("redeliveryBackoffMs", options.redeliveryBackoffMs ?? 100, 0),
    handlerTimeoutMs:
      options.handlerTimeoutMs === undefined
        ? Number.POSITIVE_INFINITY
        : atLeast("handlerTimeoutMs", options.handlerTimeoutMs, 1),
    propagate: options.propagate ?? [],
    deadLetter: options.deadLetter,
  };
}

function atLeast(name: string, value: number, least: number): number {
  if (Number.isFinite(value) && value >= least) return value;
  throw invalid(`${name} of a subscription is ${value}; it takes a number of at least ${least}`);
}

function invalid(message: string): MicroError {
  return new MicroError("invalid_argument", message, { outcome: "not-executed" });
}

/** One handling that was begun and is waited for. */
interface Handling {
  readonly delivery: Delivery;
  /** Undefined while the event is being dead-lettered. */
  readonly event: DeliveredEvent | undefined;
}

/** The longest wait between two deliveries of an event. */
const longestBackoffMs = 60_000;

/**
 * A subscription of a broker that delivers inside the process: takes events from its queue, runs the handler,
 * delivers again what failed and gives up what fails for good. Nothing that a handler does reaches the
 * publisher, another subscription, or the process.
 */
export class DeliverySubscription implements Subscription, Consumer {
  readonly topic: string;
  readonly #handler: EventHandler;
  readonly #settings: DeliverySettings;
  readonly #deliveries: DeliveryQueue;
  readonly #host: DeliveryHost;
  readonly #inFlight = new Set<Handling>();
  readonly #timeouts = new DeadlineSweep((now) => this.#expire(now), 2);
  #delivered = 0;
  #failed = 0;
  #rejected = 0;
  #dropped = 0;
  #state: "open" | "draining" | "leaving" | "closed" = "open";
  #closing: Promise<void> | undefined = undefined;
  #settled: (() => void) | undefined = undefined;
  #unlisten: (() => void) | undefined = undefined;

  constructor(
    topic: string,
    handler: EventHandler,
    settings: DeliverySettings,
    deliveries: DeliveryQueue,
    host: DeliveryHost,
  ) {
    this.topic = topic;
    this.#handler = handler;
    this.#settings = settings;
    this.#deliveries = deliveries;
    this.#host = host;
    deliveries.join(this);
  }

  get queue(): string | undefined {
    return this.#settings.queue;
  }

  get maxPending(): number {
    return this.#settings.maxPending;
  }

  get inFlight(): number {
    return this.#inFlight.size;
  }

  get ready(): boolean {
    return (
      (this.#state === "open" || this.#state === "draining") &&
      this.#inFlight.size < this.#settings.maxInFlight
    );
  }

  get stats(): SubscriptionStats {
    return {
      delivered: this.#delivered,
      failed: this.#failed,
      rejected: this.#rejected,
      dropped: this.#dropped,
      inFlight: this.#inFlight.size,
      pending: this.#state === "closed" ? 0 : this.#deliveries.pending,
    };
  }

  /** Ends the subscription when the signal fires. */
  closeOn(signal: AbortSignal): void {
    const close = () => {
      this.close().catch((error: unknown) =>
        this.#host.logger.error({ ...this.#names(), error }, "cannot close the subscription"),
      );
    };
    signal.addEventListener("abort", close, { once: true });
    this.#unlisten = () => signal.removeEventListener("abort", close);
  }

  take(delivery: Delivery): void {
    if (delivery.burial !== undefined) {
      const handling = { delivery, event: undefined };
      this.#inFlight.add(handling);
      void this.#bury(handling, delivery.burial);
      return;
    }
    const { handlerTimeoutMs, propagate } = this.#settings;
    const due = eventDeadline(delivery.record.metadata);
    const deadline = Math.min(due, deadlineAfter(handlerTimeoutMs));
    if (hasPassed(due)) {
      const handling = { delivery, event: undefined };
      this.#inFlight.add(handling);
      this.#failForGood(handling, tooLate(delivery.record, "its deadline"));
      return;
    }
    const event = new DeliveredEvent(delivery.record, ++delivery.attempts, deadline, propagate);
    const handling = { delivery, event };
    this.#inFlight.add(handling);
    if (deadline !== Number.POSITIVE_INFINITY) this.#timeouts.watch(deadline);
    void this.#handle(handling, event);
  }

  lost(record: EventRecord): void {
    if (this.#dropped++ === 0) {
      this.#host.logger.warn(
        { ...this.#names(), event: record.id, maxPending: this.#settings.maxPending },
        "an event was dropped because too many wait for this subscriber; stats.dropped counts them from here on",
      );
    }
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #handle(handling: Handling, event: DeliveredEvent): Promise<void> {
    try {
      await this.#handler(event);
    } catch (error) {
      this.#fail(handling, error);
      return;
    }
    if (this.#isOver(handling)) return;
    this.#inFlight.delete(handling);
    this.#delivered++;
    this.#deliveries.done(handling.delivery);
    this.#settled?.();
  }

  #fail(handling: Handling, error: unknown): void {
    if (this.#isOver(handling)) {
      this.#log("warn", handling.delivery, error, "a handler failed after it had been given up");
      return;
    }
    this.#failed++;
    const { delivery } = handling;
    const { maxDeliveries, redeliveryBackoffMs } = this.#settings;
    const forGood = isRejection(error) || hasPassed(eventDeadline(delivery.record.metadata));
    if (!forGood && delivery.attempts < maxDeliveries) {
      this.#log("warn", delivery, error, "a handler failed; the event is delivered again");
      this.#again(handling, backoff(redeliveryBackoffMs, delivery.attempts));
      return;
    }
    this.#failForGood(handling, error);
  }

  /** Whether a handling was given up, or its event is on its way to the dead letters, whatever its handler says now. */
  #isOver(handling: Handling): boolean {
    return !this.#inFlight.has(handling) || handling.delivery.burial !== undefined;
  }

  #failForGood(handling: Handling, error: unknown): void {
    const { delivery } = handling;
    const { deadLetter } = this.#settings;
    const why = isRejection(error)
      ? "an event was rejected by its handler"
      : "an event failed for good";
    if (deadLetter === undefined) {
      this.#log("error", delivery, error, `${why}, and there is no dead letter topic`);
      this.#giveUp(handling);
      return;
    }
    this.#log("error", delivery, error, `${why}, and goes to ${deadLetter}`);
    delivery.burial = { deadLetter, reason: describe(error), tries: 0 };
    void this.#bury(handling, delivery.burial);
  }

  /** Publishes first and gives up after, so that an event that is not kept elsewhere stays here. */
  async #bury(handling: Handling, burial: Burial): Promise<void> {
    const { delivery } = handling;
    try {
      await this.#host.publishDeadLetter(
        deadLetterRecord(delivery.record, burial.deadLetter, burial.reason, delivery.attempts),
      );
    } catch (error) {
      if (!this.#inFlight.has(handling)) return;
      if (++burial.tries < this.#settings.maxDeliveries || this.#host.keepsEvents === true) {
        this.#log("warn", delivery, error, `cannot publish to ${burial.deadLetter}; trying again`);
        this.#again(handling, backoff(this.#settings.redeliveryBackoffMs, burial.tries));
        return;
      }
      this.#log("error", delivery, error, `cannot publish to ${burial.deadLetter}; event lost`);
    }
    if (this.#inFlight.has(handling)) this.#giveUp(handling);
  }

  #giveUp(handling: Handling): void {
    this.#inFlight.delete(handling);
    this.#rejected++;
    this.#deliveries.done(handling.delivery);
    this.#settled?.();
  }

  #again(handling: Handling, delayMs: number): void {
    this.#inFlight.delete(handling);
    const delay = this.#state === "draining" ? 0 : delayMs;
    if (!this.#deliveries.retry(handling.delivery, delay)) this.#dropped++;
    this.#deliveries.wake();
    this.#settled?.();
  }

  #expire(now: number): Deadline {
    let next = Number.POSITIVE_INFINITY;
    for (const handling of this.#inFlight) {
      const event = handling.event;
      if (event === undefined || handling.delivery.burial !== undefined) continue;
      if (event.deadline > now) {
        next = Math.min(next, event.deadline);
        continue;
      }
      const itsOwn = hasPassed(eventDeadline(handling.delivery.record.metadata));
      const limit = itsOwn ? "its deadline" : `${this.#settings.handlerTimeoutMs} ms`;
      const reason = tooLate(event, limit);
      event.cancel(reason);
      this.#fail(handling, reason);
    }
    return next;
  }

  async #close(): Promise<void> {
    this.#unlisten?.();
    await this.#host.detach?.(this);
    const last = this.#deliveries.consumers === 1;
    this.#state = last ? "draining" : "leaving";
    const finished = () =>
      this.#inFlight.size === 0 && (this.#state === "leaving" || this.#deliveries.pending === 0);
    if (last) {
      this.#deliveries.seal();
      this.#deliveries.expedite();
    } else {
      this.#deliveries.leave(this);
    }
    if (!finished()) await this.#untilFinished(finished);
    this.#settled = undefined;
    this.#timeouts.close();
    this.#abandon();
    if (last) this.#dropped += this.#deliveries.leave(this).length;
    this.#state = "closed";
    this.#host.forget(this);
    if (this.#dropped > 0) {
      this.#host.logger.warn(
        { ...this.#names(), dropped: this.#dropped },
        "the subscription closed, and has lost events",
      );
    }
  }

  #untilFinished(finished: () => boolean): Promise<void> {
    return new Promise<void>((resolve) => {
      const grace = setTimeout(resolve, this.#host.closeGraceMs);
      this.#settled = () => {
        if (!finished()) return;
        clearTimeout(grace);
        resolve();
      };
    });
  }

  /** Gives up the handlers that did not end within the grace; others of the group get their events. */
  #abandon(): void {
    const reason = new MicroError("canceled", `the subscription to ${this.topic} was closed`);
    for (const handling of this.#inFlight) {
      this.#inFlight.delete(handling);
      if (!this.#deliveries.retry(handling.delivery, 0)) this.#dropped++;
      handling.event?.cancel(reason);
    }
  }

  #log(level: "warn" | "error", delivery: Delivery, error: unknown, message: string): void {
    const { record, attempts } = delivery;
    this.#host.logger[level](
      { ...this.#names(), event: record.id, attempt: attempts, error },
      message,
    );
  }

  #names(): { readonly topic: string; readonly queue?: string } {
    const queue = this.#settings.queue;
    return queue === undefined ? { topic: this.topic } : { topic: this.topic, queue };
  }
}

/** The rejection of another copy of this package counts as well. */
function tooLate(
  { id, topic }: { readonly id: string; readonly topic: string },
  limit: string,
): MicroError {
  return new MicroError(
    "deadline_exceeded",
    `event ${id} on ${topic} was not handled within ${limit}`,
  );
}

function isRejection(error: unknown): boolean {
  return (
    error instanceof EventRejected || (error instanceof Error && error.name === "EventRejected")
  );
}

function backoff(firstMs: number, failures: number): number {
  const delay = Math.min(longestBackoffMs, firstMs * 2 ** (failures - 1));
  return delay * (0.8 + 0.4 * Math.random());
}
