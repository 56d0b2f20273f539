import type { Delivery, DeliverySource } from "@micro-es/runtime/driver";
import { nanos } from "nats";
import type { HandledEvent, HandlingCounts } from "./handling-counts.ts";
import type { PulledMessage } from "./pull-loop.ts";

/** The consumer of held events. */
export interface HeldEventHost {
  readonly consumer: string;
  readonly ackWaitMs: number;
  readonly counts: HandlingCounts;
  /** A handling has ended for now, and another one may begin. */
  placeFree(): void;
  /** The event is finished here. The promise, if any, resolves when the server knows. */
  released(event: HeldEvent, telling: Promise<void> | undefined): void;
  /** A count could not be stored; the event may be handled once more than allowed. */
  uncounted(event: HeldEvent, error: unknown): void;
}

/**
 * An event of a JetStream consumer that this member holds. It keeps the event reserved for this
 * member, settles it with the server, and counts its handlings so that the count outlives this
 * process.
 *
 * Every handling is recorded before it begins, except the first one of an event that was never
 * delivered before: that would cost each event a round trip. That one is recorded when it takes
 * longer than a moment, or when the event is returned.
 */
export class HeldEvent implements DeliverySource, HandledEvent {
  readonly consumer: string;
  readonly sequence: number;
  readonly storedAt: string;
  /** Whether the event may have been handled before, here or elsewhere. */
  readonly isRedelivery: boolean;
  /** How long its last handling took, in milliseconds; infinite before it has ended. */
  tookMs: number = Number.POSITIVE_INFINITY;
  #pulled: PulledMessage;
  readonly #host: HeldEventHost;
  /** When the server was last notified that the event is held. */
  #toldAt: number;
  /** When the current handling began, and its number. */
  #beganAt = 0;
  #handling = 0;
  /** The handlings that are recorded, or being recorded, on the server. */
  #counted = 0;
  #counting: Promise<void> | undefined;

  /** @param now when it arrived */
  constructor(pulled: PulledMessage, isRedelivery: boolean, host: HeldEventHost, now: number) {
    this.#toldAt = now;
    this.consumer = host.consumer;
    this.sequence = pulled.sequence;
    this.storedAt = pulled.storedAt;
    this.#pulled = pulled;
    this.isRedelivery = isRedelivery;
    this.#host = host;
  }

  /**
   * An event without an update for longer than the server waits has been delivered to another
   * member and now belongs to it; JetStream would take this member's acknowledgement for the
   * other's.
   */
  get isOurs(): boolean {
    return this.#isOursAt(performance.now());
  }

  /** Reading the clock several times an event would be noticeable. */
  #isOursAt(now: number): boolean {
    return now - this.#toldAt < this.#host.ackWaitMs;
  }

  /** Sets the number of handlings found in {@link HandlingCounts}. */
  began(handlings: number): void {
    this.#handling = handlings;
    this.#counted = handlings;
  }

  /**
   * The event was delivered here again while it is still held, because the server had not received
   * an update for too long.
   */
  renew(pulled: PulledMessage): void {
    this.#pulled = pulled;
    this.#toldAt = performance.now();
  }

  beforeHandling({ attempts }: Delivery): Promise<boolean> | undefined {
    const now = performance.now();
    if (!this.#isOursAt(now)) return Promise.resolve(false);
    this.#beganAt = now;
    this.#handling = attempts + 1;
    if (attempts === 0 && !this.isRedelivery) return undefined;
    return this.#count(this.#handling).then(() => this.isOurs);
  }

  postponed(): void {
    this.#beganAt = 0;
    this.#countHandling();
    this.#host.placeFree();
  }

  settle(delivery: Delivery, settled: boolean): void {
    const now = performance.now();
    this.tookMs = settled ? now - this.#beganAt : Number.POSITIVE_INFINITY;
    if (!this.#isOursAt(now)) {
      this.#host.released(this, undefined);
      return;
    }
    if (settled) {
      this.#respond("+ACK");
      this.#host.released(this, this.#counted > 0 ? this.#forgetCount() : undefined);
      return;
    }
    this.#host.released(this, this.#return(delivery));
  }

  /** Returns the event, to be delivered again after a while. */
  putOff(delayMs: number): void {
    const delay = delayMs === 0 ? "" : ` ${JSON.stringify({ delay: nanos(delayMs) })}`;
    if (this.isOurs) this.#respond(`-NAK${delay}`);
    this.#host.released(this, undefined);
  }

  /** Tells the server that the event is still held, if the last update is too old. */
  sayInProgress(now: number, everyMs: number): void {
    if (!this.isOurs || now - this.#toldAt < everyMs) return;
    this.#respond("+WPI");
    this.#toldAt = now;
  }

  /** Records a first handling that has taken longer than a moment. */
  countLongHandling(now: number, longerThanMs: number): void {
    if (this.#beganAt !== 0 && now - this.#beganAt >= longerThanMs) this.#countHandling();
  }

  /** Records the handling without waiting for it, unless it is already recorded. */
  #countHandling(): void {
    if (this.#handling <= this.#counted || !this.isOurs) return;
    this.#count(this.#handling).catch((error: unknown) => this.#host.uncounted(this, error));
  }

  /** Returns the event to the stream once its handlings are recorded. */
  async #return({ attempts, deadLettering }: Delivery): Promise<void> {
    try {
      if (attempts !== this.#counted || deadLettering !== undefined) {
        await this.#count(attempts, deadLettering?.reason);
      } else {
        await this.#counting;
      }
    } catch (error) {
      this.#host.uncounted(this, error);
    }
    if (this.isOurs) this.#respond("-NAK");
  }

  #respond(response: string): void {
    const { message, reply, responses } = this.#pulled;
    responses.send(message, reply, response);
  }

  /** One write after the other, so that the last one wins. */
  #count(handlings: number, reason?: string): Promise<void> {
    this.#counted = handlings;
    const before = this.#counting?.catch(() => {});
    const past = reason === undefined ? { handlings } : { handlings, reason };
    const write = () => this.#host.counts.write(this, past);
    this.#counting = before === undefined ? write() : before.then(write);
    return this.#counting;
  }

  async #forgetCount(): Promise<void> {
    await this.#counting?.catch(() => {});
    try {
      await this.#host.counts.delete(this);
    } catch (error) {
      this.#host.uncounted(this, error);
    }
  }
}
