/** How much may be spent at once, and how much is refilled per second. */
export interface BudgetLimits {
  readonly burst: number;
  readonly perSecond: number;
}

interface Account {
  left: number;
  filledAt: number;
}

/** Maximum number of sources tracked; beyond it the least recently active one is dropped. */
const maxSources = 1_024;

/**
 * Limits what is spent on each source of packets, so that a source that sends too much does not
 * starve the others.
 */
export class SourceBudget {
  readonly #limits: BudgetLimits;
  readonly #accounts = new Map<string, Account>();

  constructor(limits: BudgetLimits) {
    this.#limits = limits;
  }

  /** Whether a source has budget left. */
  has(source: string): boolean {
    return this.#account(source).left > 0;
  }

  /** Spends an amount, even if less is left; the debt then has to be refilled first. */
  spend(source: string, amount: number): void {
    this.#account(source).left -= amount;
  }

  #account(source: string): Account {
    const { burst, perSecond } = this.#limits;
    const now = performance.now();
    const account = this.#accounts.get(source) ?? { left: burst, filledAt: now };
    account.left = Math.min(burst, account.left + ((now - account.filledAt) / 1_000) * perSecond);
    account.filledAt = now;
    // Re-inserted last, so that the map stays in order of use.
    this.#accounts.delete(source);
    this.#accounts.set(source, account);
    if (this.#accounts.size > maxSources) {
      const [quietest = ""] = this.#accounts.keys();
      this.#accounts.delete(quietest);
    }
    return account;
  }
}
