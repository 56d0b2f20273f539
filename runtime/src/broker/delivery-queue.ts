import { type Abortable, unwatchAbort, watchAbort } from "../base/abort-watch.ts";
import { type Deadline, DeadlineSweep, deadlineAfter } from "../base/deadline.ts";
import { asMicroError, MicroError } from "../base/error.ts";
import type { EventRecord } from "./event.ts";
import { Fifo } from "./fifo.ts";

/** Default limit on the bodies waiting in one queue, in bytes in total. */
export const defaultMaxPendingBytes: number = 64 * 1024 * 1024;

/** One event on its way to one subscription or queue group. */
export interface Delivery {
  readonly record: EventRecord;
  /** Number of attempts started. */
  attempts: number;
  /** When it may be handled again after a failed attempt. */
  dueAt: Deadline;
  /**
   * Set while the failed event is being dead-lettered: the reason, and how often publishing the
   * dead letter was tried.
   */
  deadLettering: DeadLettering | undefined;
  /** Why the event fails without being handled, for example because it does not decode. */
  readonly failure: Error | undefined;
  /** Where the event stays until it is settled; undefined if the broker keeps nothing. */
  readonly source: DeliverySource | undefined;
}

/** The broker's side of a delivery whose event stays with the broker until it is settled. */
export interface DeliverySource {
  /**
   * Called before each attempt. A promise delays the attempt until it resolves. If it resolves to
   * false, the event belongs to another member by now and is not handled here; if it rejects, the
   * attempt is made again later.
   */
  beforeHandling(delivery: Delivery): Promise<boolean> | undefined;
  /** The event is waiting here for redelivery. */
  postponed(): void;
  /**
   * Called once: the event was handled or failed permanently, or, with `settled` false, it returns
   * to the broker.
   */
  settle(delivery: Delivery, settled: boolean): void;
}

export interface DeadLettering {
  readonly deadLetter: string;
  readonly reason: string;
  attempts: number;
}

/** Takes deliveries from a {@link DeliveryQueue}. */
export interface Consumer {
  /** Maximum number of events waiting for this consumer. */
  readonly maxPending: number;
  readonly inFlight: number;
  /** Whether it can take another event now. */
  readonly ready: boolean;
  take(delivery: Delivery): void;
  /** Reports an event that the queue lost while this consumer was first in line. */
  lost(record: EventRecord): void;
}

/**
 * The events waiting for one subscription, or for the members of one queue group. Bounded in events
 * and in bytes. Events with the same key are handed out one at a time, the next only when the
 * previous one is done for good, so that redelivery preserves their order. Events without a key are
 * handed out in order of arrival.
 */
export class DeliveryQueue {
  readonly #topic: string;
  readonly #maxPendingBytes: number;
  readonly #onSeal: (() => void) | undefined;
  readonly #keepsKeyOrder: boolean;
  readonly #consumers: Consumer[] = [];
  readonly #ready = new Fifo<Delivery>();
  /**
   * By key: the events queued behind the one event of that key that is ready, delayed or being
   * handled.
   */
  readonly #lanes = new Map<string, Fifo<Delivery>>();
  readonly #delayed = new Set<Delivery>();
  readonly #publishers = new Set<WaitingPublisher>();
  readonly #sweep = new DeadlineSweep((now) => this.#expire(now), 2);
  #blocked = 0;
  #bytes = 0;
  /** The sum of what the consumers let wait. */
  #maxPending = 0;
  #wakeScheduled = false;
  #handingOut = false;
  #sealed = false;
  #turn = 0;

  /**
   * @param onSeal called once, when the queue stops accepting events.
   * @param keepsKeyOrder false hands out events with the same key at once, for a broker that
   * promises no order.
   */
  constructor(
    topic: string,
    maxPendingBytes: number,
    onSeal?: () => void,
    keepsKeyOrder: boolean = true,
  ) {
    this.#topic = topic;
    this.#maxPendingBytes = maxPendingBytes;
    this.#onSeal = onSeal;
    this.#keepsKeyOrder = keepsKeyOrder;
  }

  /** Whether the queue has stopped accepting events. */
  get sealed(): boolean {
    return this.#sealed;
  }

  /** Events waiting, including those waiting for redelivery. */
  get pending(): number {
    return this.#ready.length + this.#blocked + this.#delayed.size;
  }

  /** Pending events that only need a consumer with free capacity. */
  get startable(): number {
    return this.#ready.length;
  }

  /** Pending events that are waiting for redelivery. */
  get postponed(): number {
    return this.#delayed.size;
  }

  /** Whether there is room for another body. */
  get hasRoomForBytes(): boolean {
    return this.#bytes < this.#maxPendingBytes;
  }

  /** Consumers that have joined and not left. */
  get consumers(): number {
    return this.#consumers.length;
  }

  join(consumer: Consumer): void {
    this.#consumers.push(consumer);
    this.#maxPending += consumer.maxPending;
    this.wake();
  }

  /** Stops accepting events; those already waiting are still handed out. */
  seal(): void {
    if (this.#sealed) return;
    this.#sealed = true;
    for (const publisher of this.#publishers) publisher.admitted();
    this.#publishers.clear();
    this.#onSeal?.();
  }

  /**
   * Removes a consumer. After the last one leaves, the queue accepts nothing further. Waiting
   * events return to their source; events without one are lost, and returned.
   */
  leave(consumer: Consumer): readonly EventRecord[] {
    const index = this.#consumers.indexOf(consumer);
    if (index >= 0) {
      this.#consumers.splice(index, 1);
      this.#maxPending -= consumer.maxPending;
    }
    if (this.#consumers.length > 0) return [];
    this.seal();
    return this.#clear();
  }

  /**
   * Enqueues an event, or returns false if there is no room; the loss is then reported to one
   * consumer.
   */
  offer(record: EventRecord): boolean {
    if (this.#sealed) return false;
    if (this.#publishers.size === 0 && this.#hasRoom(record)) {
      this.#accept(newDelivery(record));
      return true;
    }
    const consumer = this.#consumers[this.#turn++ % Math.max(1, this.#consumers.length)];
    consumer?.lost(record);
    return false;
  }

  /**
   * Enqueues an event that was requested from the broker, even if there is no room; returns false
   * when the queue is sealed.
   */
  accept(record: EventRecord, source: DeliverySource, attempts = 0, failure?: Error): boolean {
    if (this.#sealed) return false;
    this.#accept({ ...newDelivery(record), source, attempts, failure });
    return true;
  }

  /**
   * Enqueues an event as soon as there is room.
   * @throws MicroError `canceled` by the signal, `resource_exhausted` when as many publishers are
   * waiting as events may.
   */
  async put(record: EventRecord, signal: AbortSignal | undefined): Promise<void> {
    if (this.#publishers.size === 0 && this.#hasRoom(record)) {
      return this.#accept(newDelivery(record));
    }
    if (this.#sealed) return;
    if (signal?.aborted === true) throw asMicroError(signal.reason, "canceled");
    if (this.#publishers.size >= this.#maxPending) {
      throw new MicroError(
        "resource_exhausted",
        `cannot publish on ${this.#topic}: its subscriber is behind, and ${this.#publishers.size} publishers wait already; await each publish, or raise maxPending`,
      );
    }
    await new Promise<void>((resolve, reject) => {
      const publisher = {
        record,
        admitted: () => {
          if (signal !== undefined) unwatchAbort(signal, publisher);
          resolve();
        },
        aborted: (reason: unknown) => {
          this.#publishers.delete(publisher);
          reject(asMicroError(reason, "canceled"));
        },
      };
      this.#publishers.add(publisher);
      if (signal !== undefined) watchAbort(signal, publisher);
    });
  }

  /** Ends a delivery, whatever its outcome; the next event of its key may follow. */
  done(delivery: Delivery): void {
    delivery.source?.settle(delivery, true);
    const key = delivery.record.key;
    if (key !== undefined) {
      const lane = this.#lanes.get(key);
      const next = lane?.shift();
      if (next === undefined) {
        this.#lanes.delete(key);
      } else {
        this.#blocked--;
        this.#ready.push(next);
      }
    }
    this.wake();
  }

  /** Hands the delivery out again after a delay; returns false if no consumer is left. */
  retry(delivery: Delivery, delayMs: number): boolean {
    if (this.#consumers.length === 0) return false;
    this.#bytes += delivery.record.body.length;
    delivery.dueAt = deadlineAfter(delayMs);
    this.#delayed.add(delivery);
    this.#sweep.watch(delivery.dueAt);
    delivery.source?.postponed();
    return true;
  }

  /**
   * Returns to their source the events that only need a consumer with free capacity, except those
   * with a key, whose order another member could not keep.
   */
  giveBack(): void {
    for (let left = this.#ready.length; left > 0; left--) {
      const delivery = this.#ready.shift() as Delivery;
      const { record, source, attempts } = delivery;
      if (source === undefined || record.key !== undefined || attempts > 0) {
        this.#ready.push(delivery);
        continue;
      }
      this.#bytes -= record.body.length;
      source.settle(delivery, false);
    }
  }

  /** Hands out immediately the events waiting for redelivery; used when a subscription closes. */
  expedite(): void {
    for (const delivery of this.#delayed) this.#ready.push(delivery);
    this.#delayed.clear();
    this.wake();
  }

  /** Hands out events to ready consumers once the current code has finished. */
  wake(): void {
    // A handler that returns at once ends its event, and wakes the queue, while events are handed
    // out.
    if (this.#wakeScheduled || this.#handingOut) return;
    this.#wakeScheduled = true;
    queueMicrotask(this.#dispatch);
  }

  readonly #dispatch = (): void => {
    this.#wakeScheduled = false;
    this.#handingOut = true;
    try {
      while (this.#ready.length > 0) {
        const consumer = this.#pick();
        if (consumer === undefined) break;
        const delivery = this.#ready.shift() as Delivery;
        this.#bytes -= delivery.record.body.length;
        consumer.take(delivery);
      }
    } finally {
      this.#handingOut = false;
    }
    if (this.#publishers.size > 0) this.#admit();
  };

  /** The least busy consumer; ties are broken round-robin. */
  #pick(): Consumer | undefined {
    const count = this.#consumers.length;
    if (count === 1) {
      const only = this.#consumers[0] as Consumer;
      return only.ready ? only : undefined;
    }
    let best: Consumer | undefined;
    this.#turn = (this.#turn + 1) % Math.max(1, count);
    for (let index = 0; index < count; index++) {
      const consumer = this.#consumers[(this.#turn + index) % count] as Consumer;
      if (consumer.ready && (best === undefined || consumer.inFlight < best.inFlight)) {
        best = consumer;
      }
    }
    return best;
  }

  #hasRoom(record: EventRecord): boolean {
    const pending = this.pending;
    if (this.#sealed || pending >= this.#maxPending) return false;
    return pending === 0 || this.#bytes + record.body.length <= this.#maxPendingBytes;
  }

  #accept(delivery: Delivery): void {
    const { record } = delivery;
    this.#bytes += record.body.length;
    const key = this.#keepsKeyOrder ? record.key : undefined;
    const lane = key === undefined ? undefined : this.#lanes.get(key);
    if (lane !== undefined) {
      lane.push(delivery);
      this.#blocked++;
      return;
    }
    if (key !== undefined) this.#lanes.set(key, new Fifo());
    this.#ready.push(delivery);
    this.wake();
  }

  /** Admits publishers that are waiting for room. */
  #admit(): void {
    for (const publisher of this.#publishers) {
      if (!this.#hasRoom(publisher.record)) return;
      this.#publishers.delete(publisher);
      this.#accept(newDelivery(publisher.record));
      publisher.admitted();
    }
  }

  #expire(now: number): Deadline {
    let next = Number.POSITIVE_INFINITY;
    for (const delivery of this.#delayed) {
      if (delivery.dueAt <= now) {
        this.#delayed.delete(delivery);
        this.#ready.push(delivery);
      } else if (delivery.dueAt < next) {
        next = delivery.dueAt;
      }
    }
    this.wake();
    return next;
  }

  #clear(): readonly EventRecord[] {
    this.#sweep.close();
    const left: Delivery[] = [...this.#delayed];
    this.#delayed.clear();
    for (const queue of [this.#ready, ...this.#lanes.values()]) {
      for (let next = queue.shift(); next !== undefined; next = queue.shift()) left.push(next);
    }
    this.#lanes.clear();
    this.#blocked = 0;
    this.#bytes = 0;
    for (const delivery of left) delivery.source?.settle(delivery, false);
    return left.filter(({ source }) => source === undefined).map(({ record }) => record);
  }
}

function newDelivery(record: EventRecord): Delivery {
  return {
    record,
    attempts: 0,
    dueAt: 0,
    deadLettering: undefined,
    failure: undefined,
    source: undefined,
  };
}

interface WaitingPublisher extends Abortable {
  readonly record: EventRecord;
  admitted(): void;
}
