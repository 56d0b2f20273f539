import { type AbortSignals, waitUntilAborted } from "./abort.ts";

/** Notifies waiters of the next change. */
export class Changes {
  readonly #waiting = new Set<() => void>();

  /** Resolves with the next change, or when the signal aborts. */
  next(signal: AbortSignals): Promise<void> {
    return waitUntilAborted(signal, (changed) => {
      this.#waiting.add(changed);
      return () => this.#waiting.delete(changed);
    });
  }

  tell(): void {
    if (this.#waiting.size === 0) return;
    for (const changed of [...this.#waiting]) changed();
  }
}
