import type { StepIterator, StepReceiver } from "./transport.ts";

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

type Source<T> = StepIterator<T> | AsyncIterator<T> | Iterator<T>;

/**
 * Pulls messages from an iterable as fast as the receiver takes them: only while there is credit, and
 * while the connection is not choked. Credit is in bytes and may be overdrawn by one message, so a message
 * larger than the window still passes.
 *
 * It waits by being called back and not by `await`, because a stream's messages are a hot path.
 */
export class Pump<T> implements StepReceiver<T> {
  readonly #target: PumpTarget<T>;
  #source: Source<T> | undefined;
  /** The source again, where it brings its steps without promises. */
  #steps: StepIterator<T> | undefined;
  #credit: number;
  #stopped = false;
  /** Nothing is pulled before {@link resume}. */
  #waiting = false;

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
    try {
      const source = openSource(messages);
      this.#source = source;
      if ("step" in source) this.#steps = source;
    } catch (reason) {
      this.threw(reason);
      return;
    }
    this.#pull();
  }

  /** The receiver has room for this much more. */
  grant(bytes: number): void {
    // More than any window: whoever grants it means no limit.
    this.#credit = Math.min(this.#credit + bytes, Number.MAX_SAFE_INTEGER);
    if (this.#credit > 0) this.resume();
  }

  /** Looks again whether it may send. */
  resume(): void {
    if (!this.#waiting) return;
    this.#waiting = false;
    // Not at once: whoever has read a frame or was told of a drain is not through with that yet.
    queueMicrotask(this.#pull);
  }

  /** The call is over: nothing more is pulled, and the source is told. */
  stop(): void {
    if (this.#stopped) return;
    this.#stopped = true;
    const source = this.#source;
    this.#source = undefined;
    if (source !== undefined) leave(source);
  }

  stepped(step: IteratorResult<T>): void {
    if (this.#send(step)) this.#pull();
  }

  threw(reason: unknown): void {
    if (this.#stopped) return;
    this.#source = undefined;
    this.#stopped = true;
    this.#target.failed(reason);
  }

  readonly #stepped = (step: IteratorResult<T>): void => this.stepped(step);
  readonly #threw = (reason: unknown): void => this.threw(reason);

  /** Asks for steps, until one is waited for or none may be asked for. */
  readonly #pull = (): void => {
    try {
      while (!this.#stopped) {
        if (this.#credit <= 0 || this.#target.blocked()) {
          this.#waiting = true;
          return;
        }
        if (this.#steps !== undefined) {
          this.#steps.step(this);
          return;
        }
        const step = this.#source!.next();
        if (step instanceof Promise || "then" in step) {
          Promise.resolve(step).then(this.#stepped, this.#threw);
          return;
        }
        if (!this.#send(step)) return;
      }
    } catch (reason) {
      this.threw(reason);
    }
  };

  /** Whether there may be more to send. */
  #send(step: IteratorResult<T>): boolean {
    if (this.#stopped) return false;
    try {
      if (step.done !== true) {
        this.#credit -= this.#target.send(step.value);
        return true;
      }
      this.#source = undefined;
      this.#stopped = true;
      this.#target.finished();
    } catch (reason) {
      this.stop();
      this.#target.failed(reason);
    }
    return false;
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
