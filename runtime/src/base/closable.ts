/**
 * The base of whatever closes once: all calls of {@link close} share one promise. `Args` are the
 * parameters of `close`; all of them are optional.
 */
export abstract class Closable<Args extends readonly unknown[] = []> implements AsyncDisposable {
  #closing: Promise<void> | undefined = undefined;

  /** Whether `close` was called; already true while {@link closeOnce} runs. */
  protected get isClosing(): boolean {
    return this.#closing !== undefined;
  }

  close(...args: Args | []): Promise<void> {
    if (this.#closing !== undefined) return this.#closing;
    let settle!: (closed: Promise<void>) => void;
    this.#closing = new Promise((resolve) => {
      settle = resolve;
    });
    settle(this.closeOnce(...args));
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Closes everything. Called by the first `close`; must be async, and so never throws. */
  protected abstract closeOnce(...args: Args | []): Promise<void>;
}
