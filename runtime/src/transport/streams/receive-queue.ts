import type { BufferedIterator, EndWatcher } from "../transport.ts";

/** The sending side of a {@link ReceiveQueue}. */
export interface ReceiveQueueOwner {
  /** Called when the first message is requested. A call that starts when it is read starts now. */
  opened(): void;
  /** Called when the reader took messages of this cost, so that as much may be sent again. */
  consumed(cost: number): void;
  /** Called when messages of this cost were discarded unread. */
  dropped(cost: number): void;
  /** Called when the reader left before the end. */
  abandoned(): void;
  /**
   * Decodes a message of {@link ReceiveQueue.receive}. Returns undefined on failure, after it has
   * ended the call and with it the queue. Required only for owners that pass messages as bytes.
   */
  decode?(bytes: Uint8Array, start: number, end: number): unknown;
  /** Limits the messages that wait decoded. Without it, all messages wait decoded. */
  readonly decodedAhead?: DecodedAhead;
}

/**
 * Cost of stream messages that were decoded before they were read. A decoded message can take fifty
 * times the memory of its bytes, so beyond {@link maxDecodedAhead} messages wait as bytes, which
 * their sender has paid for.
 */
export class DecodedAhead {
  cost = 0;
}

/** Shared by the server side of all streams of the process. */
export const servedDecodedAhead: DecodedAhead = new DecodedAhead();

/**
 * The most that waits decoded, in bytes on the wire: enough for readers that keep up, and at most
 * some 50 MB of objects.
 */
const maxDecodedAhead = 1024 * 1024;

/** A message that waits as bytes. */
class Undecoded {
  readonly bytes: Uint8Array;
  readonly start: number;
  readonly end: number;

  constructor(bytes: Uint8Array, start: number, end: number) {
    this.bytes = bytes;
    this.start = start;
    this.end = end;
  }
}

/**
 * Keeps a message as bytes. A message that is small relative to its chunk is copied, so that it
 * does not keep the chunk.
 */
function undecoded(bytes: Uint8Array, start: number, end: number): Undecoded {
  const length = end - start;
  if (length * 2 >= bytes.buffer.byteLength) return new Undecoded(bytes, start, end);
  const own = new Uint8Array(length);
  own.set(bytes.subarray(start, end));
  return new Undecoded(own, 0, length);
}

/**
 * The cost of every stream message in addition to its bytes, so that empty messages are limited
 * too.
 */
export const messageOverheadBytes = 64;

/**
 * The most slots that are kept for later messages, and the most that are kept after they were read.
 */
const mostKept = 1_024;

const done: IteratorReturnResult<undefined> = { done: true, value: undefined };

interface Reader<T> {
  resolve(result: IteratorResult<T, undefined> | Promise<never>): void;
  reject(reason: unknown): void;
}

/**
 * The messages of a stream that have arrived and are still unread, in order. The sender limits
 * their number: it stays within the window that it was granted, and
 * {@link ReceiveQueueOwner.consumed} reports what was read.
 */
export class ReceiveQueue<T>
  implements AsyncIterableIterator<T, undefined>, BufferedIterator<T, undefined>
{
  readonly #owner: ReceiveQueueOwner;
  #messages: (T | Undecoded | undefined)[] = [];
  #costs: number[] = [];
  /** Index of the oldest unread message; everything before it was read. */
  #head = 0;
  /**
   * Index after the newest message. The arrays keep their capacity when everything is read, because
   * the next batch needs it.
   */
  #tail = 0;
  #readers: Reader<T>[] = [];
  #opened = false;
  #ended = false;
  #watcher: EndWatcher | undefined;
  #error: Error | (() => Error) | undefined;

  /** Whether messages stay as they arrive until they are read. */
  decodesLate = false;
  readonly #ahead: DecodedAhead | undefined;

  constructor(owner: ReceiveQueueOwner) {
    this.#owner = owner;
    this.#ahead = owner.decodedAhead;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  watchEnd(watcher: EndWatcher): void {
    this.#watcher = watcher;
    if (this.#ended) this.#tellWatcher();
  }

  /** True when no more messages can arrive. */
  get ended(): boolean {
    return this.#ended;
  }

  /** Adds a message. Does nothing after the end. */
  push(message: T, cost: number): void {
    if (this.#ended) return;
    if (this.#readers.length > 0) {
      this.#readers.shift()!.resolve({ done: false, value: message });
      this.#owner.consumed(cost);
      return;
    }
    if (this.#ahead !== undefined) this.#ahead.cost += cost;
    this.#keep(message, cost);
  }

  /**
   * Adds a message as the received bytes, which must not be modified afterwards. It is decoded now
   * if a reader is waiting or the limit on decoded messages allows it, and otherwise when it is
   * read. Does nothing after the end.
   */
  receive(bytes: Uint8Array, start: number, end: number, cost: number): void {
    if (this.#ended) return;
    const isFull = this.#readers.length === 0 && this.#ahead!.cost + cost > maxDecodedAhead;
    if (isFull || this.decodesLate) {
      this.#keep(undecoded(bytes, start, end), cost);
      return;
    }
    const message = this.#owner.decode!(bytes, start, end) as T | undefined;
    if (message === undefined) this.#owner.dropped(cost);
    else this.push(message, cost);
  }

  /** Ends the stream. Unread messages stay readable, followed by the end or the error. */
  end(error?: Error | (() => Error)): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#error = error;
    this.#tellWatcher();
    for (const reader of this.#readers) this.#conclude(reader);
    this.#readers = [];
  }

  /**
   * Discards unread messages: the next read fails with this error, and later ones return the end. A
   * function creates the error only when it is read, because usually there is no further read.
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

  /**
   * Returns the next message if it has already arrived, as `next()` would, but without a promise.
   */
  buffered(): IteratorYieldResult<T> | undefined {
    const head = this.#head;
    if (head === this.#tail) return undefined;
    const message = this.#messages[head];
    const cost = this.#costs[head]!;
    this.#messages[head] = undefined;
    this.#head = head + 1;
    if (this.#head === this.#tail) this.#restart();
    else if (this.#head === mostKept) this.#forgetRead();
    this.#owner.consumed(cost);
    if (message instanceof Undecoded) return this.#decoded(message);
    if (this.#ahead !== undefined) this.#ahead.cost -= cost;
    return { done: false, value: message as T };
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

  #keep(message: T | Undecoded, cost: number): void {
    this.#messages[this.#tail] = message;
    this.#costs[this.#tail++] = cost;
  }

  /**
   * Returns undefined if the message cannot be decoded; the queue has then ended with the reason.
   */
  #decoded({ bytes, start, end }: Undecoded): IteratorYieldResult<T> | undefined {
    const message = this.#owner.decode!(bytes, start, end) as T | undefined;
    return message === undefined ? undefined : { done: false, value: message };
  }

  #conclude(reader: Reader<T>): void {
    const error = this.#error;
    this.#error = undefined;
    if (error === undefined) {
      reader.resolve(done);
      return;
    }
    const reason = typeof error === "function" ? error() : error;
    if (this.#watcher === undefined) reader.reject(reason);
    else reader.resolve(this.#watcher.rejection(reason));
  }

  #tellWatcher(): void {
    const watcher = this.#watcher;
    if (watcher === undefined) return;
    if (typeof this.#error === "function") this.#error = this.#error();
    if (this.#error === undefined) watcher.ended();
    else watcher.failed(this.#error);
  }

  #drop(): void {
    let cost = 0;
    for (let index = this.#head; index < this.#tail; index++) {
      cost += this.#costs[index]!;
      const isDecoded = !(this.#messages[index] instanceof Undecoded);
      if (isDecoded && this.#ahead !== undefined) this.#ahead.cost -= this.#costs[index]!;
    }
    this.#clear();
    if (cost > 0) this.#owner.dropped(cost);
  }

  /** Resets the queue when everything is read. */
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
