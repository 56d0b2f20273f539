import { monotonicNow } from "../../deadline.ts";

/** How often something may happen at once, and in the long run. */
export interface Allowance {
  /** What happens, for the error that says that it was too often. */
  readonly what: string;
  readonly burst: number;
  readonly perSecond: number;
}

/** Tokens for an {@link Allowance}, which come again with time. */
export class Bucket {
  readonly allowance: Allowance;
  #tokens: number;
  #filledAt = monotonicNow();

  constructor(allowance: Allowance) {
    this.allowance = allowance;
    this.#tokens = allowance.burst;
  }

  /** Takes one; false when there was none left. */
  take(): boolean {
    const now = monotonicNow();
    const { burst, perSecond } = this.allowance;
    const refill = ((now - this.#filledAt) / 1000) * perSecond;
    this.#tokens = Math.min(burst, this.#tokens + refill) - 1;
    this.#filledAt = now;
    return this.#tokens >= 0;
  }
}
