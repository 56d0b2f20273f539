import { randomUUID } from "node:crypto";
import { asMicroError, EventRejected, type Logger, MicroError } from "@micro-es/runtime";
import {
  type Backoff,
  backoffMs,
  type Delivery,
  type DeliveryQueue,
  type DeliverySettings,
  type DeliverySource,
  defaultMaxPendingBytes,
  type EventRecord,
  type EventSource,
  pauseUntilAborted,
  sharedAbortController,
  waitUntilAborted,
} from "@micro-es/runtime/driver";
import {
  Subscriber_acknowledge,
  Subscriber_modifyAckDeadline,
} from "../gen/google/pubsub/v1/pubsub_micro.ts";
import type { ReceivedMessage } from "../gen/google/pubsub/v1/pubsub_pb.ts";
import { pubSubFailure } from "../link/failure.ts";
import type { PubSubLink, Sending } from "../link/link.ts";
import { HeldEvent, type HeldEventHost } from "./held-event.ts";
import { IdBatches } from "./id-batches.ts";
import { decodeMessage, undecodedEvent } from "./message.ts";
import { PullStream } from "./pull-stream.ts";
import { createSubscription, deleteSubscription, type SubscriptionPlan } from "./topology.ts";

/** Options of a {@link SubscriptionReader}. */
export interface SubscriptionReaderOptions {
  readonly link: PubSubLink;
  readonly plan: SubscriptionPlan;
  readonly topic: string;
  readonly settings: DeliverySettings;
  readonly deliveries: DeliveryQueue;
  readonly maxEventBytes: number;
  readonly ackWaitMs: number;
  readonly logger: Logger;
}

/** Waits before a subscription is read again that could not be. */
const backoff: Backoff = { firstMs: 50, factor: 2, mostMs: 5_000, jitter: 0.3 };
/** A stream that lasted this long ended as the service ends all of them, in milliseconds. */
const longStreamMs = 5_000;
/** The most ids in a request. */
const mostIds = 2_000;
const longestTickMs = 5_000;

/** Reads the messages of a subscription for one of its members, and settles them. */
export class SubscriptionReader implements EventSource, HeldEventHost {
  readonly ackWaitMs: number;
  readonly #options: SubscriptionReaderOptions;
  readonly #clientId: string = randomUUID();
  /** By the id of the message. */
  readonly #held = new Map<string, HeldEvent>();
  /** Acknowledgements on their way: the id of the message by that of the acknowledgement. */
  readonly #acknowledging = new Map<string, string>();
  /** The messages of these, and the number of their acknowledgements. */
  readonly #handled = new Map<string, number>();
  readonly #acknowledgements: IdBatches;
  readonly #returns: IdBatches;
  readonly #stopping: AbortController = sharedAbortController();
  readonly #closing: AbortController = sharedAbortController();
  #stream: PullStream | undefined;
  #beginning: Promise<void> | undefined;
  #reading: Promise<void> | undefined;
  #keeping: Promise<void> | undefined;
  #wakeUp: (() => void) | undefined;

  constructor(options: SubscriptionReaderOptions) {
    this.#options = options;
    this.ackWaitMs = options.ackWaitMs;
    const stop = this.#closing.signal;
    this.#acknowledgements = new IdBatches({
      send: (ackIds) => this.#acknowledge(ackIds),
      done: (ackIds) => this.#acknowledged(ackIds),
      failed: (error) => this.#log("error", error, "events cannot be acknowledged"),
      stop,
    });
    this.#returns = new IdBatches({
      send: (ackIds) => this.#modify(ackIds, 0),
      failed: (error) =>
        this.#log("debug", error, "events cannot be returned, and come back later"),
      stop,
    });
  }

  /** Creates the subscription unless it exists, and begins to read it. */
  async begin(): Promise<void> {
    const { link, plan } = this.#options;
    this.#beginning = createSubscription(link, plan);
    await this.#beginning;
    if (this.#stopping.signal.aborted) return;
    this.#reading = this.#read();
    this.#keeping = this.#keep();
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    this.#wakeUp?.();
    this.#stream?.end();
    await this.#reading;
  }

  async close(): Promise<void> {
    await this.stop();
    // A subscription that is created now would outlive its deletion.
    await this.#beginning?.catch(() => {});
    for (const event of [...this.#held.values()]) this.returned(event);
    const { link, plan } = this.#options;
    // Requests are no longer repeated: the service delivers those events again later.
    this.#closing.abort();
    await Promise.all([
      this.#acknowledgements.settled(),
      this.#returns.settled(),
      this.#keeping,
      plan.isLone ? this.#deleteSubscription() : undefined,
    ]);
    link.trouble(this, undefined);
  }

  finished(event: HeldEvent): void {
    this.#release(event);
    const { messageId, ackId } = event;
    this.#handled.set(messageId, (this.#handled.get(messageId) ?? 0) + 1);
    this.#acknowledging.set(ackId, messageId);
    this.#acknowledgements.add(ackId);
  }

  returned(event: HeldEvent): void {
    if (this.#held.get(event.messageId) !== event) return;
    this.#release(event);
    this.#returns.add(event.ackId);
  }

  left(event: HeldEvent): void {
    this.#release(event);
  }

  get #maxMessages(): number {
    const { maxInFlight, maxPending } = this.#options.settings;
    return Math.min(maxInFlight, maxPending);
  }

  #release(event: HeldEvent): void {
    if (this.#held.get(event.messageId) === event) this.#held.delete(event.messageId);
    this.#wakeUp?.();
  }

  /** Reads again after each end of the stream. */
  async #read(): Promise<void> {
    const { link, plan } = this.#options;
    const { signal } = this.#stopping;
    for (let failures = 0; !signal.aborted; ) {
      const beganAt = performance.now();
      try {
        await this.#readOnce();
        failures = 0;
      } catch (error) {
        if (signal.aborted) return;
        const failure = pubSubFailure(error, `read ${plan.name}`);
        const isRegular = performance.now() - beganAt > longStreamMs && link.connected;
        failures = isRegular ? 1 : failures + 1;
        if (failure.code === "not_found") await this.#restore(failure);
        else if (failures > 1 && link.connected) link.trouble(this, failure);
        if (failures > 1 && failure.code !== "unavailable") {
          this.#log("warn", failure, "cannot read a subscription; trying again");
        }
        await link.untilConnected(signal);
      }
      // A stream that ends at once must not be opened in a loop.
      const isShort = performance.now() - beganAt < longStreamMs;
      if (isShort) {
        const pauseMs = backoffMs(backoff, Math.max(1, failures), Math.random);
        await pauseUntilAborted(pauseMs, signal);
      }
    }
  }

  async #readOnce(): Promise<void> {
    const { link, plan } = this.#options;
    const stream = new PullStream({
      link,
      subscription: plan.name,
      clientId: this.#clientId,
      ackWaitMs: this.ackWaitMs,
      maxMessages: this.#maxMessages,
      maxBytes: defaultMaxPendingBytes,
    });
    this.#stream = stream;
    if (this.#stopping.signal.aborted) stream.end();
    for await (const messages of stream.messages()) {
      link.trouble(this, undefined);
      for (const message of messages) this.#take(message);
      await this.#untilRoom();
    }
  }

  /** The service holds back what is over the limits; an emulator may not. */
  async #untilRoom(): Promise<void> {
    const { deliveries } = this.#options;
    const { signal } = this.#stopping;
    const isFull = () => this.#held.size >= this.#maxMessages || !deliveries.hasRoomForBytes;
    while (isFull() && !signal.aborted) {
      await waitUntilAborted(signal, (done) => {
        this.#wakeUp = done;
        return () => {
          this.#wakeUp = undefined;
        };
      });
    }
  }

  #take({ ackId, message, deliveryAttempt }: ReceivedMessage): void {
    if (message === undefined) return;
    const { messageId } = message;
    const held = this.#held.get(messageId);
    if (held !== undefined) {
      // Delivered again while it is held: this member keeps it by the latest delivery.
      held.ackId = ackId;
      held.kept(performance.now());
      return;
    }
    if (this.#handled.has(messageId)) {
      this.#acknowledging.set(ackId, messageId);
      this.#handled.set(messageId, (this.#handled.get(messageId) ?? 0) + 1);
      this.#acknowledgements.add(ackId);
      return;
    }
    const event = new HeldEvent(messageId, ackId, this, performance.now());
    this.#held.set(messageId, event);
    if (this.#stopping.signal.aborted) {
      this.returned(event);
      return;
    }
    const { topic, maxEventBytes, deliveries, plan } = this.#options;
    const past = Math.max(0, deliveryAttempt - 1);
    let record: EventRecord;
    let failure: Error | undefined;
    try {
      record = decodeMessage(topic, message, maxEventBytes);
      failure = this.#failureOf(record, past);
    } catch (cause) {
      record = undecodedEvent(topic, message);
      const reason = `message ${messageId} of ${plan.name} is not an event: ${messageOf(cause)}`;
      failure = new EventRejected(reason, { cause });
    }
    if (deliveries.accept(record, event, past, failure)) return;
    event.settle(refused(record, past, event), false);
  }

  /** Only a subscription with a dead letter policy of the service counts its deliveries. */
  #failureOf({ id, topic }: EventRecord, past: number): Error | undefined {
    if (past < this.#options.settings.maxDeliveries) return undefined;
    return new MicroError(
      "aborted",
      `event ${id} on ${topic} was delivered ${past} times, and no handling ended: the process stopped or lost its connection to Pub/Sub`,
    );
  }

  /** Keeps the held events for this member. */
  async #keep(): Promise<void> {
    const { signal } = this.#closing;
    const tickMs = Math.min(this.ackWaitMs / 6, longestTickMs);
    while (!signal.aborted) {
      await pauseUntilAborted(tickMs, signal);
      const due = [...this.#held.values()].filter((it) => it.keptForMs > this.ackWaitMs / 3);
      for (let start = 0; start < due.length && !signal.aborted; start += mostIds) {
        const some = due.slice(start, start + mostIds);
        const askedAt = performance.now();
        try {
          const ids = some.map(({ ackId }) => ackId);
          await this.#modify(ids, Math.ceil(this.ackWaitMs / 1_000));
          for (const event of some) event.kept(askedAt);
        } catch (error) {
          this.#log("debug", error, "events cannot be kept yet; trying again");
        }
      }
    }
  }

  /** Creates a subscription again that was deleted. */
  async #restore(failure: MicroError): Promise<void> {
    const { link, plan } = this.#options;
    this.#log(
      "error",
      failure,
      "a subscription was deleted; it is created again, and events that it had are gone",
    );
    try {
      await createSubscription(link, plan);
    } catch (error) {
      link.trouble(this, asMicroError(error));
    }
  }

  async #deleteSubscription(): Promise<void> {
    const { link, plan } = this.#options;
    try {
      if (link.connected) await deleteSubscription(link, plan.name);
    } catch (error) {
      this.#log("debug", error, "cannot delete a subscription; it expires");
    }
  }

  #acknowledged(ackIds: readonly string[]): void {
    for (const ackId of ackIds) {
      const messageId = this.#acknowledging.get(ackId);
      this.#acknowledging.delete(ackId);
      if (messageId === undefined) continue;
      const left = (this.#handled.get(messageId) ?? 0) - 1;
      if (left > 0) this.#handled.set(messageId, left);
      else this.#handled.delete(messageId);
    }
  }

  async #acknowledge(ackIds: readonly string[]): Promise<void> {
    const { link, plan } = this.#options;
    const subscription = plan.name;
    const sending = this.#sending("acknowledge");
    await link.call(Subscriber_acknowledge, { subscription, ackIds: [...ackIds] }, sending);
  }

  async #modify(ackIds: readonly string[], seconds: number): Promise<void> {
    const { link, plan } = this.#options;
    const request = {
      subscription: plan.name,
      ackIds: [...ackIds],
      ackDeadlineSeconds: seconds,
    };
    const sending = this.#sending(seconds === 0 ? "return" : "keep");
    await link.call(Subscriber_modifyAckDeadline, request, sending);
  }

  #sending(verb: string): Sending {
    const { name } = this.#options.plan;
    return { what: `${verb} events of ${name}`, route: ["subscription", name] };
  }

  #log(level: "debug" | "warn" | "error", error: unknown, message: string): void {
    const { topic, plan, logger } = this.#options;
    logger[level]({ topic, subscription: plan.name, error }, message);
  }
}

/** A delivery that a closed queue did not accept. */
function refused(record: EventRecord, attempts: number, source: DeliverySource): Delivery {
  return { record, attempts, source, dueAt: 0, deadLettering: undefined, failure: undefined };
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
