/** Lets those who wait for the next change of something know of it. */
export class Changes {
  readonly #waiting = new Set<() => void>();

  /** Resolves with the next change, or when the signal fires. */
  next(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const changed = () => {
        this.#waiting.delete(changed);
        signal.removeEventListener("abort", changed);
        resolve();
      };
      this.#waiting.add(changed);
      signal.addEventListener("abort", changed);
      if (signal.aborted) changed();
    });
  }

  tell(): void {
    if (this.#waiting.size === 0) return;
    for (const changed of [...this.#waiting]) changed();
  }
}
