import { listenForAbort } from "../base/abort.ts";
import { Closable } from "../base/closable.ts";
import { type Deadline, DeadlineSweep, deadlineAfter, hasPassed } from "../base/deadline.ts";
import { MicroError, readableThrown } from "../base/error.ts";
import type { Logger } from "../base/logger.ts";
import { backoff, isRejection, tooLate } from "./attempt-failure.ts";
import type { EventHandler, Subscription, SubscriptionStats } from "./broker.ts";
import { ConditionWaits } from "./condition-waits.ts";
import {
  deadLetterRecord,
  defaultDeadLetter,
  describe,
  isDeadLetter,
} from "./dead-letter-record.ts";
import type { Admission, Claim } from "./deduplication.ts";
import type { Consumer, DeadLettering, Delivery, DeliveryQueue } from "./delivery-queue.ts";
import type { DeliverySettings } from "./delivery-settings.ts";
import { DeliveredEvent, type EventRecord } from "./event.ts";
import { eventDeadline } from "./event-deadline.ts";
import { HandlerFrame } from "./handler-frame.ts";
import { type Handling, Handlings } from "./handlings.ts";

/** What a broker that delivers inside the process provides to its subscriptions. */
export interface DeliveryHost {
  readonly logger: Logger;
  /** How long a closing subscription waits for its handlers, in milliseconds. */
  readonly closeGraceMs: number;
  /**
   * Whether an event stays with the broker until it is settled. If so, a failed event is kept until
   * its dead letter is published: publishing is retried while the subscription is open, and then
   * the event returns to the broker.
   */
  readonly keepsEvents?: boolean;
  /**
   * Whether the broker keeps dead letters even without a subscriber. If so, a failed event is
   * always stored as one: on {@link defaultDeadLetter} if the subscription has no dead letter
   * topic.
   */
  readonly keepsDeadLetters?: boolean;
  /** Publishes an event that failed permanently in a subscription of a queue group. */
  publishDeadLetter(record: EventRecord, queue: string | undefined): Promise<void>;
  /** Tells other parties that a closing subscription wants no more events. Never rejects. */
  detach?(subscription: LocalSubscription): Promise<void>;
  /**
   * Releases a closed subscription. A promise resolves when its events have been returned to the
   * broker.
   */
  forget(subscription: LocalSubscription): void | Promise<void>;
}

/**
 * How long handlers that waited for the close in vain, because another one hangs, may take to
 * return, in milliseconds.
 */
const partingMs = 1_000;

/** Default time that a closing subscription waits for its handlers, in milliseconds. */
export const defaultCloseGraceMs = 10_000;

/**
 * A subscription of a broker that delivers inside the process: takes events from its queue, runs
 * the handler, redelivers events that failed and dead-letters those that failed permanently. A
 * handler's failure never reaches the publisher, another subscription, or the process.
 */
export class LocalSubscription extends Closable implements Subscription, Consumer {
  readonly topic: string;
  readonly #frame: HandlerFrame<Handling>;
  readonly #settings: DeliverySettings;
  readonly #deliveries: DeliveryQueue;
  readonly #host: DeliveryHost;
  readonly #inFlight = new Handlings();
  readonly #timeouts = new DeadlineSweep((now) => this.#expire(now), 2);
  #delivered = 0;
  #failed = 0;
  #rejected = 0;
  #dropped = 0;
  #duplicates = 0;
  #state: "open" | "draining" | "leaving" | "closed" = "open";
  /** Change when an attempt has ended, and when another handler waits for the close. */
  readonly #waits = new ConditionWaits();
  /** Number of handlers waiting for this subscription to close. */
  #closers = 0;
  /** Whether the time that a close waits for handlers is over. */
  #graceOver = false;
  #unlisten: (() => void) | undefined = undefined;

  constructor(
    topic: string,
    handler: EventHandler,
    settings: DeliverySettings,
    deliveries: DeliveryQueue,
    host: DeliveryHost,
  ) {
    super();
    this.topic = topic;
    this.#frame = new HandlerFrame(topic, handler, {
      handled: (handling) => {
        if (handling.claim === undefined) this.#succeed(handling);
        else void this.#recordSuccess(handling, handling.claim);
      },
      failed: (handling, thrown) => this.#fail(handling, readableThrown(thrown)),
    });
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
      ...(this.#settings.deduplication !== undefined && { duplicates: this.#duplicates }),
    };
  }

  /**
   * Closes the subscription when the signal aborts, or immediately if it has aborted. A broker
   * calls this before the first event can arrive, so that none is delivered after an abort during
   * setup.
   */
  closeOn(signal: AbortSignal | undefined): void {
    this.#unlisten = listenForAbort(signal, () => {
      this.close().catch((error: unknown) =>
        this.#host.logger.error({ ...this.#names(), error }, "cannot close the subscription"),
      );
    });
  }

  take(delivery: Delivery): void {
    const handling = this.#inFlight.add(delivery);
    if (delivery.deadLettering !== undefined) {
      void this.#deadLetter(handling, delivery.deadLettering);
      return;
    }
    const due = eventDeadline(delivery.record.metadata);
    if (delivery.failure !== undefined) this.#failForGood(handling, delivery.failure);
    else if (due !== Number.POSITIVE_INFINITY && hasPassed(due)) {
      this.#failForGood(handling, tooLate(delivery.record, "its deadline"));
    } else {
      const permission = delivery.source?.beforeHandling(delivery);
      if (permission === undefined && this.#settings.deduplication === undefined) {
        this.#handle(handling, due);
      } else void this.#handleWhenPermitted(handling, permission);
    }
  }

  lost(record: EventRecord): void {
    if (this.#dropped++ === 0) {
      this.#host.logger.warn(
        { ...this.#names(), event: record.id, maxPending: this.#settings.maxPending },
        "an event was dropped because too many wait for this subscriber; stats.dropped counts them from here on",
      );
    }
  }

  /** Whether the caller runs inside a handler of this subscription. */
  get isCallerHandler(): boolean {
    return this.#frame.isOnStack;
  }

  override close(): Promise<void> {
    return this.isCallerHandler ? this.closeExceptForClosers(true) : this.closeCompletely();
  }

  /** As {@link close}, but waits for every handler, even the one that calls it. */
  closeCompletely(): Promise<void> {
    return super.close();
  }

  /**
   * As {@link close}, but does not wait for the handlers that themselves wait for it, nor for
   * events that wait for the slots of those.
   * @param isCloser whether the caller is such a handler of this subscription.
   */
  closeExceptForClosers(isCloser: boolean): Promise<void> {
    const closing = this.closeCompletely();
    if (isCloser) {
      this.#closers++;
      this.#waits.changed();
    }
    const othersEnded = this.#waits.until(() => {
      const left = this.#closers >= this.#settings.maxInFlight ? 0 : this.#deliveries.startable;
      return this.#graceOver || (this.#inFlight.size <= this.#closers && left === 0);
    });
    return Promise.race([othersEnded, closing]);
  }

  /** @param due the deadline of the event itself */
  #handle(handling: Handling, due: Deadline): void {
    const { delivery } = handling;
    const { handlerTimeoutMs, propagate } = this.#settings;
    const deadline =
      handlerTimeoutMs === Number.POSITIVE_INFINITY
        ? due
        : Math.min(due, deadlineAfter(handlerTimeoutMs));
    const event = new DeliveredEvent(delivery.record, ++delivery.attempts, deadline, propagate);
    handling.event = event;
    if (deadline !== Number.POSITIVE_INFINITY) this.#timeouts.watch(deadline);
    this.#frame.run(handling, event);
  }

  /**
   * Handles the event once its broker and the record of handled events allow it.
   * @param permission of the broker; undefined if it is not asked
   */
  async #handleWhenPermitted(
    handling: Handling,
    permission: Promise<boolean> | undefined,
  ): Promise<void> {
    const { delivery } = handling;
    let permitted: boolean;
    let admission: Admission | undefined;
    try {
      permitted = (await permission) ?? true;
      if (permitted && this.#inFlight.has(handling)) {
        admission = await this.#settings.deduplication?.begin(delivery.record);
      }
    } catch (error) {
      if (!this.#inFlight.has(handling)) return;
      this.#log("warn", delivery, error, "a handling cannot begin yet; trying again");
      this.#postpone(handling, backoff(this.#settings.redeliveryBackoffMs, delivery.attempts + 1));
      return;
    }
    handling.claim = admission?.state === "claimed" ? admission.claim : undefined;
    if (!this.#inFlight.has(handling)) this.#release(handling);
    else if (!permitted) this.#end(handling);
    else if (admission?.state === "elsewhere") this.#postpone(handling, admission.waitMs);
    else if (admission?.state === "handled") {
      this.#duplicates++;
      this.#end(handling);
    } else this.#handle(handling, eventDeadline(delivery.record.metadata));
  }

  /** The event is acknowledged only once the store knows that it was handled. */
  async #recordSuccess(handling: Handling, claim: Claim): Promise<void> {
    const { delivery } = handling;
    handling.succeeded = true;
    await claim.record({
      isOver: () => !this.#inFlight.has(handling),
      waitMs: (failures) => backoff(this.#settings.redeliveryBackoffMs, failures),
      report: (error, message) => this.#log("error", delivery, error, message),
    });
    if (this.#inFlight.has(handling)) this.#succeed(handling);
  }

  /** Lets another attempt begin at once. */
  #release(handling: Handling): void {
    const { claim, delivery } = handling;
    if (claim === undefined) return;
    handling.claim = undefined;
    claim.release().catch((error: unknown) => {
      this.#log("warn", delivery, error, "cannot release the claim of an event, which expires");
    });
  }

  #succeed(handling: Handling): void {
    if (this.#isOver(handling)) return;
    this.#delivered++;
    this.#end(handling);
  }

  /** Ends the attempt; the event is done here. */
  #end(handling: Handling): void {
    this.#inFlight.delete(handling);
    this.#deliveries.done(handling.delivery);
    this.#waits.changed();
  }

  #fail(handling: Handling, error: unknown): void {
    this.#release(handling);
    if (this.#isOver(handling)) {
      this.#log("warn", handling.delivery, error, "a handler failed after it had been abandoned");
      return;
    }
    this.#failed++;
    const { delivery } = handling;
    const { maxDeliveries, redeliveryBackoffMs } = this.#settings;
    const forGood = isRejection(error) || hasPassed(eventDeadline(delivery.record.metadata));
    if (!forGood && delivery.attempts < maxDeliveries) {
      this.#log("warn", delivery, error, "a handler failed; the event is delivered again");
      const delayMs = backoff(redeliveryBackoffMs, delivery.attempts);
      this.#postpone(handling, this.#state === "draining" ? 0 : delayMs);
      return;
    }
    this.#failForGood(handling, error);
  }

  /**
   * Whether the attempt is over, whatever its handler does later: it was abandoned, or its event is
   * being dead-lettered.
   */
  #isOver(handling: Handling): boolean {
    return !this.#inFlight.has(handling) || handling.delivery.deadLettering !== undefined;
  }

  #failForGood(handling: Handling, error: unknown): void {
    const { delivery } = handling;
    const why =
      delivery.failure === undefined && isRejection(error)
        ? "an event was rejected by its handler"
        : "an event failed for good";
    const deadLetter = this.#deadLetterOf(delivery.record);
    if (deadLetter === undefined) {
      const where = isDeadLetter(delivery.record)
        ? `and remains a dead letter on ${this.topic}`
        : "and is lost, because the subscription has no dead letter topic";
      this.#log("error", delivery, error, `${why}, ${where}`);
      this.#giveUp(handling);
      return;
    }
    this.#log("error", delivery, error, `${why}, and goes to ${deadLetter}`);
    delivery.deadLettering = { deadLetter, reason: describe(error), attempts: 0 };
    void this.#deadLetter(handling, delivery.deadLettering);
  }

  /** A dead letter that fails again is already on its dead letter topic. */
  #deadLetterOf(record: EventRecord): string | undefined {
    const { deadLetter } = this.#settings;
    if (deadLetter !== undefined || this.#host.keepsDeadLetters !== true) return deadLetter;
    return isDeadLetter(record) ? undefined : defaultDeadLetter(this.topic);
  }

  /**
   * Publishes the dead letter before dropping the event, so that an event not kept elsewhere is not
   * lost.
   */
  async #deadLetter(handling: Handling, deadLettering: DeadLettering): Promise<void> {
    const { delivery } = handling;
    try {
      await this.#host.publishDeadLetter(
        deadLetterRecord(
          delivery.record,
          deadLettering.deadLetter,
          deadLettering.reason,
          delivery.attempts,
        ),
        this.queue,
      );
    } catch (error) {
      if (!this.#inFlight.has(handling)) return;
      if (
        ++deadLettering.attempts < this.#settings.maxDeliveries ||
        this.#host.keepsEvents === true
      ) {
        this.#log(
          "warn",
          delivery,
          error,
          `cannot publish to ${deadLettering.deadLetter}; trying again`,
        );
        this.#postpone(
          handling,
          backoff(this.#settings.redeliveryBackoffMs, deadLettering.attempts),
        );
        return;
      }
      this.#log(
        "error",
        delivery,
        error,
        `cannot publish to ${deadLettering.deadLetter}; event lost`,
      );
    }
    if (this.#inFlight.has(handling)) this.#giveUp(handling);
  }

  #giveUp(handling: Handling): void {
    this.#rejected++;
    this.#end(handling);
  }

  #postpone(handling: Handling, delayMs: number): void {
    this.#inFlight.delete(handling);
    if (!this.#deliveries.retry(handling.delivery, delayMs)) this.#dropped++;
    this.#deliveries.wake();
    this.#waits.changed();
  }

  #expire(now: number): Deadline {
    let next = Number.POSITIVE_INFINITY;
    this.#inFlight.forEach((handling) => {
      const event = handling.event;
      if (event === undefined || handling.delivery.deadLettering !== undefined) return;
      if (handling.succeeded) return;
      if (event.deadline > now) {
        next = Math.min(next, event.deadline);
        return;
      }
      const itsOwn = hasPassed(eventDeadline(handling.delivery.record.metadata));
      const limit = itsOwn ? "its deadline" : `${this.#settings.handlerTimeoutMs} ms`;
      const reason = tooLate(event, limit);
      event.cancel(reason);
      this.#fail(handling, reason);
    });
    return next;
  }

  protected override async closeOnce(): Promise<void> {
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
    await this.#waits.until(finished, this.#host.closeGraceMs);
    if (!finished() && this.#closers > 0) await this.#partFromClosers();
    this.#timeouts.close();
    this.#abandon();
    if (last) this.#dropped += this.#deliveries.leave(this).length;
    try {
      await this.#host.forget(this);
    } finally {
      this.#state = "closed";
    }
    if (this.#dropped > 0) {
      this.#host.logger.warn(
        { ...this.#names(), dropped: this.#dropped },
        "the subscription closed, and has lost events",
      );
    }
  }

  /** Releases handlers that wait for the close, so that their events are settled. */
  #partFromClosers(): Promise<void> {
    const hanging = this.#inFlight.size - this.#closers;
    this.#graceOver = true;
    this.#waits.changed();
    return this.#waits.until(() => this.#inFlight.size <= hanging, partingMs);
  }

  /**
   * Abandons the handlers that did not finish within the grace period; other members of the group
   * get their events.
   */
  #abandon(): void {
    const reason = new MicroError("canceled", `the subscription to ${this.topic} was closed`);
    this.#inFlight.forEach((handling) => {
      this.#inFlight.delete(handling);
      handling.claim?.abandon();
      if (!this.#deliveries.retry(handling.delivery, 0)) this.#dropped++;
      handling.event?.cancel(reason);
    });
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
