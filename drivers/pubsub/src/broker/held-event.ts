import type { Delivery, DeliverySource } from "@micro-es/runtime/driver";

/** The subscription of held events. */
export interface HeldEventHost {
  /** How long an event is held before it is delivered elsewhere, in milliseconds. */
  readonly ackWaitMs: number;
  /** The event was handled, or failed for good. */
  finished(event: HeldEvent): void;
  /** The event goes to another member. */
  returned(event: HeldEvent): void;
  /** Another member may have it by now. */
  left(event: HeldEvent): void;
}

/** An event that this member holds. It is kept for it while it is handled. */
export class HeldEvent implements DeliverySource {
  readonly messageId: string;
  /** Identifies the latest delivery to the service. */
  ackId: string;
  readonly #host: HeldEventHost;
  /** When the service was last asked to keep it for this member. */
  #keptAt: number;
  #isLeft = false;

  constructor(messageId: string, ackId: string, host: HeldEventHost, now: number) {
    this.messageId = messageId;
    this.ackId = ackId;
    this.#host = host;
    this.#keptAt = now;
  }

  /** For how long the service has not heard of it, in milliseconds. */
  get keptForMs(): number {
    return performance.now() - this.#keptAt;
  }

  /** @param askedAt when the service was asked, which it has confirmed. */
  kept(askedAt: number): void {
    this.#keptAt = Math.max(this.#keptAt, askedAt);
  }

  beforeHandling(): Promise<boolean> | undefined {
    if (this.keptForMs < this.#host.ackWaitMs) return undefined;
    this.#isLeft = true;
    return Promise.resolve(false);
  }

  postponed(): void {}

  settle(_delivery: Delivery, settled: boolean): void {
    if (this.#isLeft) this.#host.left(this);
    else if (settled) this.#host.finished(this);
    else this.#host.returned(this);
  }
}
