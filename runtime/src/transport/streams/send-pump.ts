import type { StepIterator, StepReceiver } from "../transport.ts";

/** Receives what a {@link SendPump} pulls. */
export interface SendPumpTarget<T> {
  /**
   * Returns true if the connection accepts nothing now; {@link SendPump.resume} is called when it
   * does.
   */
  blocked(): boolean;
  /** Sends a message and returns its cost against the window. If it throws, the pump fails. */
  send(message: T): number;
  /** Called when the source has ended. */
  finished(): void;
  /** Called when the source or `send` threw. */
  failed(reason: unknown): void;
}

type Source<T> = StepIterator<T> | AsyncIterator<T> | Iterator<T>;

/**
 * Pulls messages from an iterable as fast as the receiver accepts them: only while there is credit,
 * and while the connection is not blocked. Credit is in bytes and may be overdrawn by one message,
 * so that a message larger than the window still passes.
 *
 * It waits through callbacks and not with `await`, because stream messages are a hot path.
 */
export class SendPump<T> implements StepReceiver<T> {
  readonly #target: SendPumpTarget<T>;
  #source: Source<T> | undefined;
  /** The source, if it delivers its steps without promises. */
  #steps: StepIterator<T> | undefined;
  #credit: number;
  #stopped = false;
  /** Nothing is pulled before {@link resume}. */
  #waiting = false;

  constructor(target: SendPumpTarget<T>, credit: number) {
    this.#target = target;
    this.#credit = credit;
  }

  /** Bytes that may be sent; negative if the last message cost more than there was. */
  get credit(): number {
    return this.#credit;
  }

  /** Starts pulling. An iterable that cannot be opened counts as a failed source. */
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

  /** Adds credit for this many bytes. */
  grant(bytes: number): void {
    // More than any window: a receiver that grants this much means no limit.
    this.#credit = Math.min(this.#credit + bytes, Number.MAX_SAFE_INTEGER);
    if (this.#credit > 0) this.resume();
  }

  /** Checks again whether it may send. */
  resume(): void {
    if (!this.#waiting) return;
    this.#waiting = false;
    // Deferred: the caller is still handling a frame or a drain event.
    queueMicrotask(this.#pull);
  }

  /** Stops pulling because the call has ended, and closes the source. */
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

  /** Requests steps, until one is pending or none may be requested. */
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

  /** Sends a step. Returns whether there may be more to send. */
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

/**
 * Closes a source that is no longer needed. An error that it throws is ignored, because the call
 * has already ended.
 */
function leave<T>(source: Source<T>): void {
  try {
    const left = source.return?.();
    if (left instanceof Promise) left.catch(() => undefined);
  } catch {
    // As above: the call has ended, and its reason is what counts.
  }
}
