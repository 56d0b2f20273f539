import { EventRejected, type Logger, MicroError } from "@micro-es/runtime";
import type {
  Delivery,
  DeliveryQueue,
  DeliverySettings,
  DeliverySource,
  EventRecord,
  EventSource,
} from "@micro-es/runtime/driver";
import type { HeldEvent } from "./held-event.ts";
import { decodeEvent, type StreamEntry, undecodedEvent } from "./message.ts";

/** What a subscription reads its events from. */
export interface EventReader extends EventSource {
  begin(): Promise<void>;
  /** There may be room for more. */
  wake(): void;
}

/** A subscription's settings and queue, for what reads its events. */
export interface EventIntakeOptions {
  readonly topic: string;
  readonly settings: DeliverySettings;
  readonly maxEventBytes: number;
  readonly deliveries: DeliveryQueue;
  readonly logger: Logger;
}

/** A handling that takes longer than this was not prompt, in milliseconds. */
const promptMs = 1;
/** Events read ahead while handlers are prompt, for each that may be in flight. */
const aheadPerSlot = 3;

/** Passes entries on to a subscription's queue, and says how many more it can take. */
export class EventIntake {
  readonly #options: EventIntakeOptions;
  readonly #wake: () => void;
  /** Entries here that have not ended. */
  #held = 0;
  /** How many events in a row were handled at once, up to the number that may be in flight. */
  #prompt = 0;
  #waking = false;

  /** @param wake called when there may be room again. */
  constructor(options: EventIntakeOptions, wake: () => void) {
    this.#options = options;
    this.#wake = wake;
  }

  get logger(): Logger {
    return this.#options.logger;
  }

  /**
   * Only events that can be handled at once are read, and more while handlers return at once.
   * Events whose key is busy wait here, so their number is limited.
   */
  room(): number {
    const { deliveries, settings } = this.#options;
    if (!deliveries.hasRoomForBytes) return 0;
    const { maxInFlight, maxPending } = settings;
    const { pending, startable, postponed } = deliveries;
    const inFlight = this.#held - pending;
    const mayWait = postponed > 0 ? this.#held : pending;
    const ahead = this.#prompt < maxInFlight ? 0 : aheadPerSlot * maxInFlight;
    return Math.min(maxInFlight + ahead - inFlight - startable, maxPending - mayWait);
  }

  /** @param past how often the event may have been handled before. */
  take(source: DeliverySource, entry: StreamEntry, past: number): void {
    const { topic, maxEventBytes } = this.#options;
    this.#held++;
    let record: EventRecord;
    let failure: Error | undefined;
    try {
      record = decodeEvent(topic, entry.fields ?? [], maxEventBytes);
      failure = this.#failureOf(record, past);
    } catch (cause) {
      const { message } = cause as Error;
      record = undecodedEvent(topic, entry);
      const reason = `entry ${entry.id} on ${topic} is not an event: ${message}`;
      failure = new EventRejected(reason, { cause });
    }
    const { deliveries } = this.#options;
    if (deliveries.accept(record, source, past, failure)) return;
    source.settle(refused(record, past, source), false);
  }

  ended(event?: HeldEvent): void {
    this.#held--;
    if (event !== undefined && event.tookMs > promptMs) this.#prompt = 0;
    else if (this.#prompt < this.#options.settings.maxInFlight) this.#prompt++;
    this.#wakeSoon();
  }

  placeFree(): void {
    this.#prompt = 0;
    this.#wakeSoon();
  }

  /** Once for all that ends in this turn. */
  #wakeSoon(): void {
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
      `event ${id} on ${topic} was handled ${past} times, and no handling ended: the process stopped or lost its connection to Redis in the last one`,
    );
  }
}

/** A delivery that a closed queue did not accept. */
function refused(record: EventRecord, attempts: number, source: DeliverySource): Delivery {
  return { record, attempts, source, dueAt: 0, deadLettering: undefined, failure: undefined };
}
