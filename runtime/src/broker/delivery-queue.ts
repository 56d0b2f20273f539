import { type Abortable, unwatchAbort, watchAbort } from "../abort-watch.ts";
import { type Deadline, DeadlineSweep, deadlineAfter } from "../deadline.ts";
import { asMicroError, MicroError } from "../error.ts";
import type { EventRecord } from "./event.ts";

/** Bodies that wait in one queue unless told otherwise, in bytes together. */
export const defaultMaxPendingBytes: number = 64 * 1024 * 1024;

/** One event on its way to one subscription or queue group. */
export interface Delivery {
  readonly record: EventRecord;
  /** Handlings that were begun. */
  attempts: number;
  /** When it may be taken again, after a handling that failed. */
  dueAt: Deadline;
  /** Set when it was given up and is being dead-lettered: why, and how often that was tried. */
  burial: Burial | undefined;
}

export interface Burial {
  readonly deadLetter: string;
  readonly reason: string;
  tries: number;
}

/** Takes deliveries from a {@link DeliveryQueue}. */
export interface Consumer {
  /** Events that wait for this consumer at most. */
  readonly maxPending: number;
  readonly inFlight: number;
  /** Whether it takes one more now. */
  readonly ready: boolean;
  take(delivery: Delivery): void;
  /** Told of an event that the queue lost while this consumer stood first in line. */
  lost(record: EventRecord): void;
}

/**
 * The events that wait for one subscription, or for the members of one queue group. Bounded in events and in
 * bytes. Events of one key are handed out one after the other, the next only when the one before is done for
 * good, so that redelivery does not break their order; events without a key are handed out as they came.
 */
export class DeliveryQueue {
  readonly #topic: string;
  readonly #maxPendingBytes: number;
  readonly #onSeal: (() => void) | undefined;
  readonly #onEnd: ((record: EventRecord, handled: boolean) => void) | undefined;
  readonly #consumers: Consumer[] = [];
  readonly #ready = new Fifo<Delivery>();
  /** By key, what waits behind the one event of that key that is ready, delayed or being handled. */
  readonly #lanes = new Map<string, Fifo<Delivery>>();
  readonly #delayed = new Set<Delivery>();
  readonly #publishers = new Set<WaitingPublisher>();
  readonly #sweep = new DeadlineSweep((now) => this.#expire(now), 2);
  #blocked = 0;
  #bytes = 0;
  #wakeScheduled = false;
  #sealed = false;
  #turn = 0;

  /**
   * @param onSeal called once, when the queue takes no more events.
   * @param onEnd called once for each event that was taken: it was handled or given up for good, or it is lost here.
   */
  constructor(
    topic: string,
    maxPendingBytes: number,
    onSeal?: () => void,
    onEnd?: (record: EventRecord, handled: boolean) => void,
  ) {
    this.#topic = topic;
    this.#maxPendingBytes = maxPendingBytes;
    this.#onSeal = onSeal;
    this.#onEnd = onEnd;
  }

  /** Whether it takes no more events. */
  get sealed(): boolean {
    return this.#sealed;
  }

  /** Events that wait, those that wait for their redelivery included. */
  get pending(): number {
    return this.#ready.length + this.#blocked + this.#delayed.size;
  }

  /** Consumers that joined and did not leave. */
  get consumers(): number {
    return this.#consumers.length;
  }

  join(consumer: Consumer): void {
    this.#consumers.push(consumer);
    this.wake();
  }

  /** Takes no more events; those that wait are still handed out. */
  seal(): void {
    if (this.#sealed) return;
    this.#sealed = true;
    for (const publisher of this.#publishers) publisher.admitted();
    this.#publishers.clear();
    this.#onSeal?.();
  }

  /** After the last one left, what still waits is lost: it is returned, and nothing is taken any more. */
  leave(consumer: Consumer): readonly EventRecord[] {
    const index = this.#consumers.indexOf(consumer);
    if (index >= 0) this.#consumers.splice(index, 1);
    if (this.#consumers.length > 0) return [];
    this.seal();
    return this.#clear();
  }

  /**
   * Takes an event, or answers false when there is no room; then one consumer is told of the loss.
   * @param attempts handlings that were begun elsewhere before.
   */
  offer(record: EventRecord, attempts = 0): boolean {
    if (this.#sealed) return false;
    if (this.#publishers.size === 0 && this.#hasRoom(record)) {
      this.#accept(record, attempts);
      return true;
    }
    const consumer = this.#consumers[this.#turn++ % Math.max(1, this.#consumers.length)];
    consumer?.lost(record);
    return false;
  }

  /**
   * Takes an event as soon as there is room.
   * @throws MicroError `canceled` by the signal, `resource_exhausted` when as many publishers wait as events
   * may.
   */
  async put(record: EventRecord, signal: AbortSignal | undefined): Promise<void> {
    if (this.#publishers.size === 0 && this.#hasRoom(record)) return this.#accept(record);
    if (this.#sealed) return;
    if (signal?.aborted === true) throw asMicroError(signal.reason, "canceled");
    if (this.#publishers.size >= this.#maxPending()) {
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

  /** The delivery is over, one way or another; the next of its key may follow. */
  done(delivery: Delivery): void {
    this.#onEnd?.(delivery.record, true);
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

  /** Hands the delivery out again after a while; false when nobody is left to take it. */
  retry(delivery: Delivery, delayMs: number): boolean {
    if (this.#consumers.length === 0) return false;
    this.#bytes += delivery.record.body.length;
    delivery.dueAt = deadlineAfter(delayMs);
    this.#delayed.add(delivery);
    this.#sweep.watch(delivery.dueAt);
    return true;
  }

  /** Hands out at once what waits for its redelivery; for a subscription that is closing. */
  expedite(): void {
    for (const delivery of this.#delayed) this.#ready.push(delivery);
    this.#delayed.clear();
    this.wake();
  }

  /** Hands out what can be, once the code that is running is through. */
  wake(): void {
    if (this.#wakeScheduled) return;
    this.#wakeScheduled = true;
    queueMicrotask(() => {
      this.#wakeScheduled = false;
      this.#dispatch();
    });
  }

  #dispatch(): void {
    while (this.#ready.length > 0) {
      const consumer = this.#pick();
      if (consumer === undefined) break;
      const delivery = this.#ready.shift() as Delivery;
      this.#bytes -= delivery.record.body.length;
      consumer.take(delivery);
    }
    this.#admit();
  }

  /** The consumer that has least to do; those that have equally little, in turn. */
  #pick(): Consumer | undefined {
    const count = this.#consumers.length;
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
    if (this.#sealed || pending >= this.#maxPending()) return false;
    return pending === 0 || this.#bytes + record.body.length <= this.#maxPendingBytes;
  }

  #maxPending(): number {
    let sum = 0;
    for (const consumer of this.#consumers) sum += consumer.maxPending;
    return sum;
  }

  #accept(record: EventRecord, attempts = 0): void {
    const delivery: Delivery = { record, attempts, dueAt: 0, burial: undefined };
    this.#bytes += record.body.length;
    const lane = record.key === undefined ? undefined : this.#lanes.get(record.key);
    if (lane !== undefined) {
      lane.push(delivery);
      this.#blocked++;
      return;
    }
    if (record.key !== undefined) this.#lanes.set(record.key, new Fifo());
    this.#ready.push(delivery);
    this.wake();
  }

  /** Lets publishers in that wait for room. */
  #admit(): void {
    for (const publisher of this.#publishers) {
      if (!this.#hasRoom(publisher.record)) return;
      this.#publishers.delete(publisher);
      this.#accept(publisher.record);
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
    const lost: EventRecord[] = [];
    for (const delivery of this.#delayed) lost.push(delivery.record);
    this.#delayed.clear();
    for (const queue of [this.#ready, ...this.#lanes.values()]) {
      for (let next = queue.shift(); next !== undefined; next = queue.shift())
        lost.push(next.record);
    }
    this.#lanes.clear();
    this.#blocked = 0;
    this.#bytes = 0;
    for (const record of lost) this.#onEnd?.(record, false);
    return lost;
  }
}

interface WaitingPublisher extends Abortable {
  readonly record: EventRecord;
  admitted(): void;
}

/** First in, first out, in constant time however long it is. */
class Fifo<T> {
  #items: (T | undefined)[] = [];
  #head = 0;

  get length(): number {
    return this.#items.length - this.#head;
  }

  push(item: T): void {
    this.#items.push(item);
  }

  shift(): T | undefined {
    if (this.#head === this.#items.length) return undefined;
    const item = this.#items[this.#head];
    this.#items[this.#head++] = undefined;
    if (this.#head === this.#items.length) {
      this.#items = [];
      this.#head = 0;
    } else if (this.#head > 1024 && this.#head * 2 > this.#items.length) {
      this.#items = this.#items.slice(this.#head);
      this.#head = 0;
    }
    return item;
  }
}
