import type { BufferedIterator, EndWatcher } from "./transport.ts";

/** Who holds the other end of an {@link Inbox}. */
export interface InboxOwner {
  /** Somebody wants the first message; a call that starts when it is read starts now. */
  opened(): void;
  /** The reader took messages of this cost, so as much may be sent again. */
  consumed(cost: number): void;
  /** Messages of this cost were thrown away unread. */
  dropped(cost: number): void;
  /** The reader left before the end. */
  abandoned(): void;
}

/** What every stream message costs of its window beside its bytes, so that empty ones are bounded too. */
export const messageOverheadBytes = 64;

/** Places for messages that are kept for the next ones, and read ones that are kept at most. */
const mostKept = 1_024;

const done: IteratorReturnResult<undefined> = { done: true, value: undefined };

interface Reader<T> {
  resolve(result: IteratorResult<T, undefined>): void;
  reject(reason: unknown): void;
}

/**
 * The messages of a stream that have come and were not read yet, in order. How many there can be is
 * decided by who sends: it stays within the window that was granted, and learns of what was read by
 * {@link InboxOwner.consumed}.
 */
export class Inbox<T>
  implements AsyncIterableIterator<T, undefined>, BufferedIterator<T, undefined>
{
  readonly #owner: InboxOwner;
  #messages: (T | undefined)[] = [];
  #costs: number[] = [];
  /** Index of the oldest unread message; what is before it was read. */
  #head = 0;
  /** Index behind the newest one. The arrays keep their room when all is read, as the next batch needs it. */
  #tail = 0;
  #readers: Reader<T>[] = [];
  #opened = false;
  #ended = false;
  #watcher: EndWatcher | undefined;
  #error: Error | (() => Error) | undefined;

  constructor(owner: InboxOwner) {
    this.#owner = owner;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  watchEnd(watcher: EndWatcher): void {
    this.#watcher = watcher;
  }

  /** True when nothing more can come. */
  get ended(): boolean {
    return this.#ended;
  }

  /** Takes a message in. Does nothing after the end. */
  push(message: T, cost: number): void {
    if (this.#ended) return;
    if (this.#readers.length > 0) {
      this.#readers.shift()!.resolve({ done: false, value: message });
      this.#owner.consumed(cost);
      return;
    }
    this.#messages[this.#tail] = message;
    this.#costs[this.#tail++] = cost;
  }

  /** What is unread stays readable; after it comes the end, or the error. */
  end(error?: Error | (() => Error)): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#error = error;
    for (const reader of this.#readers) this.#conclude(reader);
    this.#readers = [];
  }

  /**
   * Drops what is unread: the next read fails with this, and those after it are at the end. A function makes the error
   * when it is read, because mostly nobody reads on.
   */
  abort(error: Error | (() => Error)): void {
    this.#drop();
    this.#ended = false;
    this.end(error);
  }

  next(): Promise<IteratorResult<T, undefined>> {
    if (!this.#opened) {
      this.#opened = true;
      this.#owner.opened();
    }
    const ready = this.buffered();
    if (ready !== undefined) return Promise.resolve(ready);
    return new Promise((resolve, reject) => {
      const reader = { resolve, reject };
      if (this.#ended) this.#conclude(reader);
      else this.#readers.push(reader);
    });
  }

  /** The next message, where it has come already: what `next()` would bring, without its promise. */
  buffered(): IteratorYieldResult<T> | undefined {
    const head = this.#head;
    if (head === this.#tail) return undefined;
    const message = this.#messages[head] as T;
    const cost = this.#costs[head]!;
    this.#messages[head] = undefined;
    this.#head = head + 1;
    if (this.#head === this.#tail) this.#restart();
    else if (this.#head === mostKept) this.#forgetRead();
    this.#owner.consumed(cost);
    return { done: false, value: message };
  }

  return(): Promise<IteratorResult<T, undefined>> {
    const wasEnded = this.#ended && this.#head === this.#tail;
    this.#drop();
    this.#opened = true;
    this.#error = undefined;
    this.end();
    if (!wasEnded) this.#owner.abandoned();
    return Promise.resolve(done);
  }

  #conclude(reader: Reader<T>): void {
    const error = this.#error;
    this.#error = undefined;
    if (error === undefined) {
      this.#watcher?.ended();
      reader.resolve(done);
      return;
    }
    const reason = typeof error === "function" ? error() : error;
    reader.reject(this.#watcher?.failed(reason) ?? reason);
  }

  #drop(): void {
    let cost = 0;
    for (let index = this.#head; index < this.#tail; index++) cost += this.#costs[index]!;
    this.#clear();
    if (cost > 0) this.#owner.dropped(cost);
  }

  /** All is read. */
  #restart(): void {
    if (this.#tail > mostKept) this.#clear();
    else this.#head = this.#tail = 0;
  }

  #forgetRead(): void {
    this.#messages = this.#messages.slice(this.#head, this.#tail);
    this.#costs = this.#costs.slice(this.#head, this.#tail);
    this.#tail -= this.#head;
    this.#head = 0;
  }

  #clear(): void {
    this.#messages = [];
    this.#costs = [];
    this.#head = this.#tail = 0;
  }
}
