/** Waits for conditions, which are evaluated again after each change. */
export class ConditionWaits {
  readonly #checks = new Set<() => void>();

  /** Evaluates the conditions again. */
  changed(): void {
    for (const check of this.#checks) check();
  }

  /** Resolves once the condition holds, or after at most this many milliseconds. */
  until(holds: () => boolean, mostMs: number = Number.POSITIVE_INFINITY): Promise<void> {
    if (holds()) return Promise.resolve();
    return new Promise<void>((resolve) => {
      const end = () => {
        clearTimeout(limit);
        this.#checks.delete(check);
        resolve();
      };
      const check = () => {
        if (holds()) end();
      };
      const limit = mostMs === Number.POSITIVE_INFINITY ? undefined : setTimeout(end, mostMs);
      this.#checks.add(check);
    });
  }
}
