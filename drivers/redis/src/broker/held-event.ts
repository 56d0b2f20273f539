import type { Delivery, DeliverySource } from "@micro-es/runtime/driver";

/** The stream of a held event. */
export interface HeldEventHost {
  readonly silenceMs: number;
  /** Records that a handling begins; false if the event belongs to another member. */
  count(event: HeldEvent, handling: number): Promise<boolean>;
  /** A handling has ended for now, and another one may begin. */
  placeFree(): void;
  /** The event was handled, or failed for good. */
  finished(event: HeldEvent): void;
  /** The event goes to another member, after so many handlings. */
  returned(event: HeldEvent, handlings: number): void;
}

/**
 * An event that this member holds. Its first handling is counted by its delivery, and each further
 * one before it begins, so that the count outlives this process.
 */
export class HeldEvent implements DeliverySource {
  readonly id: string;
  /** How long its last handling took, in milliseconds; infinite before it has ended. */
  tookMs: number = Number.POSITIVE_INFINITY;
  readonly #host: HeldEventHost;
  /** The number of handlings that the server knows of. */
  #counted: number;
  /** When the server was last asked to keep the event for this member. */
  #keptAt: number;
  #beganAt = 0;
  #isLost = false;

  /** @param counted deliveries, including this one. */
  constructor(id: string, counted: number, host: HeldEventHost, now: number) {
    this.id = id;
    this.#counted = counted;
    this.#host = host;
    this.#keptAt = now;
  }

  /** Whether no other member can have the event. */
  get isOurs(): boolean {
    return !this.#isLost && this.keptForMs < this.#host.silenceMs;
  }

  /** For how long the server has not heard of it, in milliseconds. */
  get keptForMs(): number {
    return performance.now() - this.#keptAt;
  }

  /** @param askedAt when the server was asked, which it has confirmed. */
  kept(askedAt: number): void {
    this.#keptAt = Math.max(this.#keptAt, askedAt);
  }

  /** Another member has it. */
  lost(): void {
    this.#isLost = true;
  }

  beforeHandling({ attempts }: Delivery): Promise<boolean> | undefined {
    if (!this.isOurs) return Promise.resolve(false);
    this.#beganAt = performance.now();
    if (attempts + 1 <= this.#counted) return undefined;
    this.#counted = attempts + 1;
    return this.#host.count(this, attempts + 1).then((isOurs) => isOurs && this.isOurs);
  }

  postponed(): void {
    this.#host.placeFree();
  }

  settle({ attempts, deadLettering }: Delivery, settled: boolean): void {
    if (settled) {
      this.tookMs = performance.now() - this.#beganAt;
      this.#host.finished(this);
      return;
    }
    // The next member only makes the dead letter.
    const handlings = deadLettering === undefined ? attempts : Number.MAX_SAFE_INTEGER;
    this.#host.returned(this, handlings);
  }
}
