import type { Delivery, DeliverySource, EventRecord } from "@micro-es/runtime/driver";
import type { Channel, ConsumeMessage } from "amqplib";
import type { PastHandlings } from "./message.ts";

/** A channel on which events are delivered, until it ends. */
export interface DeliveryChannel {
  readonly channel: Channel;
  isOpen: boolean;
}

/** The consumer of held events. */
export interface HeldEventHost {
  /** The event is finished here. The promise, if any, resolves when it is back in its queue. */
  released(event: HeldEvent, returning: Promise<void> | undefined): void;
  /**
   * Puts a copy of the event with its handlings at the end of its queue; undefined where the order
   * matters.
   */
  readonly copy: ((record: EventRecord, past: PastHandlings) => Promise<void>) | undefined;
}

/**
 * An event that was delivered and is not acknowledged yet. When its channel ends, the queue
 * delivers it again, to this member or another.
 */
export class HeldEvent implements DeliverySource {
  readonly record: EventRecord;
  /** Whether it is done, although its queue may deliver it again. */
  isHandled = false;
  /** How often its handling has begun, once it is released. */
  attempts = 0;
  readonly #host: HeldEventHost;
  readonly #arrivedWith: number;
  #message: ConsumeMessage;
  #on: DeliveryChannel;
  /** Whether its next handling was left to the member that receives it next. */
  #isLeft = false;

  constructor(
    record: EventRecord,
    message: ConsumeMessage,
    on: DeliveryChannel,
    arrivedWith: number,
    host: HeldEventHost,
  ) {
    this.record = record;
    this.#message = message;
    this.#on = on;
    this.#arrivedWith = arrivedWith;
    this.#host = host;
  }

  /** Whether it can still be acknowledged. */
  get isOurs(): boolean {
    return this.#on.isOpen;
  }

  /** The queue delivered it again, here, while it is held. */
  renew(message: ConsumeMessage, on: DeliveryChannel): void {
    this.#message = message;
    this.#on = on;
  }

  beforeHandling(): Promise<boolean> | undefined {
    if (this.isOurs) return undefined;
    this.#isLeft = true;
    return Promise.resolve(false);
  }

  postponed(): void {}

  settle(delivery: Delivery, settled: boolean): void {
    this.attempts = delivery.attempts;
    if (this.#isLeft || !this.isOurs) {
      this.isHandled = settled && !this.#isLeft;
      this.#host.released(this, undefined);
      return;
    }
    if (settled) {
      this.acknowledge();
      this.#host.released(this, undefined);
      return;
    }
    this.#host.released(this, this.#return(delivery));
  }

  acknowledge(): void {
    if (this.isOurs) this.#on.channel.ack(this.#message);
  }

  /** Returns the event to its place in the queue, which counts that as one delivery. */
  putBack(): void {
    if (this.isOurs) this.#on.channel.nack(this.#message, false, true);
  }

  /**
   * Returns the event so that its handlings are counted. The queue counts deliveries, and a
   * delivery may have been followed by no handling or several.
   */
  async #return({ attempts, deadLettering }: Delivery): Promise<void> {
    const { copy } = this.#host;
    const isCounted = attempts === this.#arrivedWith + 1 && deadLettering === undefined;
    if (copy !== undefined && !isCounted) {
      try {
        await copy(this.record, { attempts, reason: deadLettering?.reason });
        this.acknowledge();
        return;
      } catch {
        // It stays in the queue, with a count that is a little off.
      }
    }
    this.putBack();
  }
}
