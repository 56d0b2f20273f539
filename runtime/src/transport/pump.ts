/** Where a {@link Pump} brings what it pulls. */
export interface PumpTarget<T> {
  /** True when the connection takes nothing at the moment; {@link Pump.resume} is called when it does. */
  blocked(): boolean;
  /** Sends a message and returns what it costs of the window. What it throws ends the pump as failed. */
  send(message: T): number;
  /** The source is at its end. */
  finished(): void;
  /** The source threw, or `send` did. */
  failed(reason: unknown): void;
}

type Source<T> = AsyncIterator<T> | Iterator<T>;

/**
 * Pulls messages from an iterable as fast as the receiver takes them: only while there is credit, and
 * while the connection is not choked. Credit is in bytes and may be overdrawn by one message, so a message
 * larger than the window still passes.
 */
export class Pump<T> {
  readonly #target: PumpTarget<T>;
  #source: Source<T> | undefined;
  #credit: number;
  #stopped = false;
  #wake: (() => void) | undefined;

  constructor(target: PumpTarget<T>, credit: number) {
    this.#target = target;
    this.#credit = credit;
  }

  /** Bytes that may be sent; negative when the last message took more than there was. */
  get credit(): number {
    return this.#credit;
  }

  /** Starts pulling. An iterable that cannot be opened is a failed source. */
  start(messages: AsyncIterable<T> | Iterable<T>): void {
    if (this.#stopped) return;
    void this.#run(messages);
  }

  /** The receiver has room for this much more. */
  grant(bytes: number): void {
    // More than any window: whoever grants it means no limit.
    this.#credit = Math.min(this.#credit + bytes, Number.MAX_SAFE_INTEGER);
    if (this.#credit > 0) this.resume();
  }

  /** Looks again whether it may send. */
  resume(): void {
    const wake = this.#wake;
    this.#wake = undefined;
    wake?.();
  }

  /** The call is over: nothing more is pulled, and the source is told. */
  stop(): void {
    if (this.#stopped) return;
    this.#stopped = true;
    const source = this.#source;
    this.#source = undefined;
    if (source !== undefined) leave(source);
    this.resume();
  }

  async #run(messages: AsyncIterable<T> | Iterable<T>): Promise<void> {
    try {
      const source = openSource(messages);
      this.#source = source;
      for (;;) {
        while (!this.#stopped && (this.#credit <= 0 || this.#target.blocked())) {
          await new Promise<void>((resolve) => {
            this.#wake = resolve;
          });
        }
        if (this.#stopped) return;
        let step = source.next();
        if (step instanceof Promise || "then" in step) step = await step;
        if (this.#stopped) return;
        if (step.done === true) {
          this.#source = undefined;
          this.#stopped = true;
          this.#target.finished();
          return;
        }
        try {
          this.#credit -= this.#target.send(step.value);
        } catch (reason) {
          this.stop();
          this.#target.failed(reason);
          return;
        }
      }
    } catch (reason) {
      if (this.#stopped) return;
      this.#source = undefined;
      this.#stopped = true;
      this.#target.failed(reason);
    }
  }
}

function openSource<T>(messages: AsyncIterable<T> | Iterable<T>): Source<T> {
  return Symbol.asyncIterator in messages
    ? messages[Symbol.asyncIterator]()
    : messages[Symbol.iterator]();
}

/** Tells a source that nobody wants more. What it throws then concerns a call that is over already. */
function leave<T>(source: Source<T>): void {
  try {
    const left = source.return?.();
    if (left instanceof Promise) left.catch(() => undefined);
  } catch {
    // As above: the call has ended, and its reason is what counts.
  }
}
