import type { Delivery, DeliverySource } from "@micro-es/runtime/driver";
import type { NsqConnection } from "../link/connection.ts";

/** The reader of held events. */
export interface HeldEventHost {
  /** Whether a failed event goes back to its channel, so that any member handles it next. */
  readonly returnsFailed: boolean;
  /** The number of events that wait here has changed. */
  waitingChanged(by: 1 | -1): void;
  /** The event was handled, or failed for good, or is back in its channel. */
  released(event: HeldEvent, isHandled: boolean): void;
}

/**
 * A message that was delivered and is not finished yet. Only the connection that it came by can
 * finish it. When that ends, nsqd delivers the message again once its time is over, to this member
 * or another.
 */
export class HeldEvent implements DeliverySource {
  readonly id: string;
  readonly #host: HeldEventHost;
  #connection: NsqConnection;
  /** The delivery, and its attempts before the present one. */
  #delivery: Delivery | undefined;
  #attemptsBefore = 0;
  #isWaiting = false;
  #isReleased = false;

  constructor(id: string, connection: NsqConnection, host: HeldEventHost) {
    this.id = id;
    this.#connection = connection;
    this.#host = host;
  }

  /** nsqd has delivered it again, here. */
  renew(connection: NsqConnection): void {
    this.#connection = connection;
  }

  /** Asks nsqd for more time. */
  touch(): void {
    if (!this.#isReleased) this.#connection.send("TOUCH", this.id);
  }

  beforeHandling(delivery: Delivery): Promise<boolean> | undefined {
    this.#wait(false);
    if (this.#isReleased) return Promise.resolve(false);
    this.#delivery = delivery;
    this.#attemptsBefore = delivery.attempts;
    return undefined;
  }

  /** Returns to its channel what was handled and failed, and keeps what could not begin yet. */
  postponed(): void {
    if (this.#isReleased) return;
    const { attempts = 0, deadLettering, dueAt = 0 } = this.#delivery ?? {};
    const hasFailed = attempts > this.#attemptsBefore && deadLettering === undefined;
    if (!hasFailed || !this.#host.returnsFailed) {
      this.#wait(true);
      return;
    }
    this.#return(Math.max(0, Math.ceil(dueAt - performance.now())));
  }

  settle(_delivery: Delivery, settled: boolean): void {
    this.#wait(false);
    if (this.#isReleased) return;
    if (!settled) {
      this.#return(0);
      return;
    }
    this.#isReleased = true;
    this.#connection.send("FIN", this.id);
    this.#host.released(this, true);
  }

  /** Returns it unhandled. */
  giveBack(): void {
    this.#return(0);
  }

  #return(delayMs: number): void {
    this.#isReleased = true;
    this.#connection.send("REQ", this.id, delayMs);
    this.#host.released(this, false);
  }

  #wait(isWaiting: boolean): void {
    if (this.#isWaiting === isWaiting) return;
    this.#isWaiting = isWaiting;
    this.#host.waitingChanged(isWaiting ? 1 : -1);
  }
}
