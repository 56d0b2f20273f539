import { monotonicNow } from "../../base/deadline.ts";
import { MicroError } from "../../base/error.ts";

/** Failures of an account within {@link windowMs} that have no consequence. */
const freeFailures = 5;
const windowMs = 60_000;
const firstWaitMs = 1_000;
const longestWaitMs = 15 * 60_000;
/** The most accounts whose failures are remembered, and attempts of one that wait. */
const maxAccounts = 10_000;
const maxWaiting = 64;

interface Failures {
  count: number;
  /** When the first of them was. */
  since: number;
  blockedUntil: number;
  waitMs: number;
}

/**
 * Limits how often a secret can be guessed: five failures a minute and account, then waits that
 * double with each further failure. Accounts that do not exist are limited alike. The count is that
 * of this process.
 */
export class FailureLimit {
  /** The account that failed least recently first. */
  readonly #failures = new Map<string, Failures>();
  /** Attempts of an account run one by one, so that none passes before a failure counts. */
  readonly #lanes = new Map<string, { last: Promise<unknown>; size: number }>();
  readonly #now: () => number;

  /** @param now returns monotonic milliseconds. */
  constructor(now: () => number = monotonicNow) {
    this.#now = now;
  }

  /**
   * Runs an attempt that resolves to whether it succeeded.
   * @throws MicroError `resource_exhausted` if the account has to wait.
   */
  async attempt(account: string, run: () => Promise<boolean>): Promise<boolean> {
    const lane = this.#lanes.get(account) ?? { last: Promise.resolve(), size: 0 };
    if (lane.size >= maxWaiting) throw tooMany(firstWaitMs);
    this.#lanes.set(account, lane);
    lane.size++;
    const result = lane.last.then(() => this.#attempt(account, run));
    lane.last = result.catch(() => {});
    try {
      return await result;
    } finally {
      if (--lane.size === 0) this.#lanes.delete(account);
    }
  }

  async #attempt(account: string, run: () => Promise<boolean>): Promise<boolean> {
    const before = this.#failures.get(account);
    const waitMs = (before?.blockedUntil ?? 0) - this.#now();
    if (waitMs > 0) throw tooMany(waitMs);
    const succeeded = await run();
    if (succeeded) this.#failures.delete(account);
    else this.#failed(account);
    return succeeded;
  }

  #failed(account: string): void {
    const now = this.#now();
    let failures = this.#failures.get(account);
    const quietSince = Math.max(failures?.since ?? 0, failures?.blockedUntil ?? 0);
    if (failures === undefined || now - quietSince > windowMs + failures.waitMs) {
      failures = { count: 0, since: now, blockedUntil: 0, waitMs: 0 };
    }
    failures.count++;
    if (failures.count >= freeFailures) {
      failures.waitMs = Math.min(longestWaitMs, Math.max(firstWaitMs, failures.waitMs * 2));
      failures.blockedUntil = now + failures.waitMs;
    }
    this.#failures.delete(account);
    this.#failures.set(account, failures);
    if (this.#failures.size > maxAccounts) {
      const [oldest] = this.#failures.keys();
      this.#failures.delete(oldest!);
    }
  }
}

function tooMany(waitMs: number): MicroError {
  return new MicroError(
    "resource_exhausted",
    `too many failed attempts for this account; try again in ${Math.ceil(waitMs / 1_000)} s`,
    { outcome: "not-executed", retryAfterMs: waitMs },
  );
}
