/** How often each process removes what has expired, with jitter, in milliseconds. */
const everyMs = 20_000;

/** Repeats a task while a store is open. One that fails is done the next time. */
export class Cleaning {
  readonly #clean: () => Promise<void>;
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> | undefined;
  #isClosed = false;

  constructor(clean: () => Promise<void>) {
    this.#clean = clean;
  }

  /** Begins, unless it has begun. The timer does not keep the process running. */
  begin(): void {
    if (this.#timer !== undefined || this.#isClosed) return;
    this.#timer = setTimeout(
      () => {
        this.#running = this.#clean()
          .catch(() => {})
          .then(() => {
            this.#timer = undefined;
            this.begin();
          });
      },
      everyMs * (0.75 + 0.5 * Math.random()),
    );
    this.#timer.unref();
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    await this.#running;
  }
}
