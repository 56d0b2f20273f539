import { EventRejected, type Logger, MicroError } from "@micro-es/runtime";
import type {
  Delivery,
  DeliveryQueue,
  DeliverySettings,
  DeliverySource,
  EventRecord,
} from "@micro-es/runtime/driver";
import { decodeEvent, droppedBy, type ReadRecord, undecodedEvent } from "./message.ts";

/** A subscription's settings and queue, for what reads its events. */
export interface EventIntakeOptions {
  readonly topic: string;
  readonly settings: DeliverySettings;
  readonly maxEventBytes: number;
  readonly deliveries: DeliveryQueue;
  readonly logger: Logger;
}

/** Passes records on to a subscription's queue, and says how many more it can take. */
export class EventIntake {
  readonly #options: EventIntakeOptions;
  readonly #wake: () => void;
  /** Events here that have not ended. */
  #held = 0;
  #waking = false;

  /** @param wake called when there may be room again. */
  constructor(options: EventIntakeOptions, wake: () => void) {
    this.#options = options;
    this.#wake = wake;
  }

  /** Enough events to handle while the next ones are taken, and not more than may wait. */
  room(): number {
    const { deliveries, settings } = this.#options;
    if (!deliveries.hasRoomForBytes) return 0;
    const { pending, startable } = deliveries;
    const inFlight = this.#held - pending;
    const { maxInFlight, maxPending } = settings;
    return Math.min(2 * maxInFlight - inFlight - startable, maxPending - pending);
  }

  /**
   * Takes a record, unless it drops a dead letter and so is not an event.
   * @param past how often the event may have been handled before.
   * @returns whether it was taken.
   */
  take(source: DeliverySource, record: ReadRecord, past: number): boolean {
    if (droppedBy(record) !== undefined) return false;
    const { topic, maxEventBytes, deliveries } = this.#options;
    this.#held++;
    let event: EventRecord;
    let failure: Error | undefined;
    try {
      event = decodeEvent(topic, record, maxEventBytes);
      failure = this.#failureOf(event, past);
    } catch (cause) {
      const { partition, offset } = record;
      event = undecodedEvent(topic, record);
      const reason = `record ${offset} of partition ${partition} on ${topic} is not an event: ${(cause as Error).message}`;
      failure = new EventRejected(reason, { cause });
    }
    if (!deliveries.accept(event, source, past, failure)) {
      source.settle(refused(event, past, source), false);
    }
    return true;
  }

  /** An event has ended here. */
  ended(): void {
    this.#held--;
    this.wakeSoon();
  }

  /** Once for all that ends in this turn. */
  wakeSoon(): void {
    if (this.#waking) return;
    this.#waking = true;
    setImmediate(() => {
      this.#waking = false;
      this.#wake();
    });
  }

  #failureOf({ id }: EventRecord, past: number): Error | undefined {
    const { topic, settings } = this.#options;
    if (past < settings.maxDeliveries) return undefined;
    return new MicroError(
      "aborted",
      `event ${id} on ${topic} was handled ${past} times, and no handling ended: the process stopped or lost its connection to Kafka in the last one`,
    );
  }
}

/** A delivery that a closed queue did not accept. */
function refused(record: EventRecord, attempts: number, source: DeliverySource): Delivery {
  return { record, attempts, source, dueAt: 0, deadLettering: undefined, failure: undefined };
}
