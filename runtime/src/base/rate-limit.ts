import { monotonicNow } from "./deadline.ts";

/** How often something may happen in a burst, and in the long run. */
export interface Allowance {
  /** What happens, for the error message when the limit is exceeded. */
  readonly what: string;
  readonly burst: number;
  readonly perSecond: number;
}

/** A token bucket for an {@link Allowance}, refilled over time. */
export class Bucket {
  readonly allowance: Allowance;
  #tokens: number;
  #filledAt = monotonicNow();

  constructor(allowance: Allowance) {
    this.allowance = allowance;
    this.#tokens = allowance.burst;
  }

  /** Refills the bucket completely. */
  refill(): void {
    this.#tokens = this.allowance.burst;
    this.#filledAt = monotonicNow();
  }

  /** Adds tokens, up to those of a burst. */
  add(tokens: number): void {
    this.#tokens = Math.min(this.allowance.burst, this.#tokens + tokens);
  }

  /** Whether more tokens were taken than there were. */
  get isOverdrawn(): boolean {
    this.#fill();
    return this.#tokens < 0;
  }

  /** Takes a token; returns false if none was left. */
  take(): boolean {
    this.#fill();
    this.#tokens--;
    return this.#tokens >= 0;
  }

  #fill(): void {
    const now = monotonicNow();
    const { burst, perSecond } = this.allowance;
    this.#tokens = Math.min(burst, this.#tokens + ((now - this.#filledAt) / 1000) * perSecond);
    this.#filledAt = now;
  }
}
