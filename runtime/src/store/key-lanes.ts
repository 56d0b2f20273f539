/** Runs the changes of each key one after another, in the order in which they were requested. */
export class KeyLanes {
  readonly #lanes = new Map<string, Promise<unknown>>();

  /** Runs a change when the previous one of its key has settled. */
  async run<T>(key: string, change: () => Promise<T>): Promise<T> {
    const before = this.#lanes.get(key);
    const running = (async () => {
      await before?.catch(() => {});
      return change();
    })();
    this.#lanes.set(key, running);
    try {
      return await running;
    } finally {
      if (this.#lanes.get(key) === running) this.#lanes.delete(key);
    }
  }

  /** Resolves when all changes requested so far have settled. */
  async settled(): Promise<void> {
    await Promise.allSettled(this.#lanes.values());
  }
}
