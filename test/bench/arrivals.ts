/** Counts events as they arrive, for callers that wait for a number of them. */
export class Arrivals {
  #missing = 0;
  #expected = 0;
  #resolve: (came: number) => void = () => {};
  /** Called with the first event that no one waits for. */
  onFirst: (() => void) | undefined = undefined;

  /**
   * Resolves with `count` when that many have arrived. @throws Error when they have not within ten
   * seconds.
   */
  async expect(count: number): Promise<number> {
    let timer: NodeJS.Timeout | undefined;
    const all = new Promise<number>((resolve, reject) => {
      this.#expected = count;
      this.#missing = count;
      this.#resolve = resolve;
      timer = setTimeout(
        () => reject(new Error(`${this.#missing} of ${count} events have not come`)),
        10_000,
      );
    });
    try {
      return await all;
    } finally {
      clearTimeout(timer);
    }
  }

  #tellFirst(): void {
    this.onFirst?.();
    this.onFirst = undefined;
  }

  /** Records one arrival. */
  readonly came = (): void => {
    if (--this.#missing === 0) this.#resolve(this.#expected);
    else if (this.#missing < 0) this.#tellFirst();
  };
}
