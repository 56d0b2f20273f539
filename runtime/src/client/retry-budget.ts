/** How many retries the calls to one service may cause. */
export interface RetryBudgetOptions {
  /** Retries earned by each successful call. Default 0.2. */
  readonly ratio: number;
  /** Retries allowed per second, whether or not calls succeed. Default 10. */
  readonly perSecond: number;
  /** Maximum number of retries that can be saved up. Default 1,000. */
  readonly most: number;
}

export const defaultRetryBudget: RetryBudgetOptions = { ratio: 0.2, perSecond: 10, most: 1_000 };

/**
 * A new budget starts with what it earns by time alone in this many seconds (Finagle's retry
 * budget).
 */
const reserveSeconds = 10;

/**
 * Keeps retries from amplifying an overload: each takes a token, and tokens are earned by
 * successful calls (as in gRFC A6) and slowly over time (as in Finagle's budget). When everything
 * fails, little more is sent than without retries. When one node of many dies, there are enough
 * tokens to retry all of its calls.
 */
export class RetryBudget {
  readonly #options: RetryBudgetOptions;
  readonly #now: () => number;
  /** Number of calls that succeeded, by which a failed call sees whether others did meanwhile. */
  successes = 0;
  #tokens: number;
  #filledAt: number;

  /** @param now milliseconds on a monotonic clock. */
  constructor(options: RetryBudgetOptions, now: () => number) {
    this.#options = options;
    this.#now = now;
    this.#tokens = Math.min(options.most, options.perSecond * reserveSeconds);
    this.#filledAt = now();
  }

  /** Credits a successful call. */
  deposit(): void {
    this.successes++;
    const tokens = this.#tokens + this.#options.ratio;
    this.#tokens = tokens > this.#options.most ? this.#options.most : tokens;
  }

  /** Takes the token for a retry; returns false if there is none. */
  withdraw(): boolean {
    const now = this.#now();
    const earned = ((now - this.#filledAt) / 1_000) * this.#options.perSecond;
    this.#tokens = Math.min(this.#options.most, this.#tokens + earned);
    this.#filledAt = now;
    if (this.#tokens < 1) return false;
    this.#tokens--;
    return true;
  }
}
