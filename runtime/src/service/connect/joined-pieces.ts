import { GrowingBuffer } from "../../base/growing-buffer.ts";

/** Bytes before a message: flags and its length (gRPC, gRPC-Web and Connect streams). */
const prefixBytes = 5;

/** Watches a message while it is incomplete. */
export interface MessageWatch {
  /**
   * Reports received bytes of the message, and the memory that they take.
   * @throws an error for the sender if there is no room.
   */
  hold(bytes: number, takenBytes: number): void;
  /** Waits for the rest of the message. Rejects if it is late. */
  await<T>(more: Promise<T>): Promise<T>;
  /** The message is complete, or will never be. */
  end(): void;
}

/**
 * Returns the body of a request with the pieces of each message joined; unchanged if its content
 * type has no messages. Connect keeps pieces in a list that it traverses for each further one, so a
 * message in one-byte pieces costs the square of its size.
 *
 * @param maxBytes the largest message; a larger one is passed on at once, for Connect to refuse
 */
export function joinPieces(
  body: AsyncIterable<Uint8Array>,
  contentType: string,
  maxBytes: number,
  watch?: MessageWatch,
): AsyncIterable<Uint8Array> {
  const prefixed = isPrefixed(contentType);
  return prefixed || /^application\/(?:json|proto)\b/i.test(contentType)
    ? new JoinedPieces(body, maxBytes, prefixed, watch)
    : body;
}

/** Whether messages of this type have prefixes; otherwise a body is one message. */
function isPrefixed(contentType: string): boolean {
  return /^application\/(?:connect\+|grpc)/i.test(contentType);
}

export class JoinedPieces implements AsyncIterableIterator<Uint8Array> {
  readonly #source: AsyncIterator<Uint8Array>;
  readonly #maxBytes: number;
  /** Whether messages have prefixes; otherwise the body is one message. */
  readonly #prefixed: boolean;
  readonly #held = new GrowingBuffer();
  readonly #prefix = Buffer.alloc(prefixBytes);
  #prefixFilled = 0;
  #ended: IteratorReturnResult<unknown> | undefined;
  /** Bytes that the message still lacks. */
  #left = 0;
  readonly #watch: MessageWatch | undefined;
  #first: Promise<IteratorResult<Uint8Array>> | undefined;

  constructor(
    body: AsyncIterable<Uint8Array>,
    maxBytes: number,
    prefixed: boolean,
    watch?: MessageWatch,
  ) {
    this.#source = body[Symbol.asyncIterator]();
    this.#maxBytes = maxBytes;
    this.#prefixed = prefixed;
    this.#watch = watch;
  }

  /**
   * Waits for the required first message. Keeps the message, or the reason that it did not arrive,
   * for the first {@link next}.
   */
  async awaitFirst(): Promise<void> {
    this.#first = this.#read(true);
    await this.#first.catch(() => undefined);
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<IteratorResult<Uint8Array>> {
    const first = this.#first;
    if (first === undefined) return this.#read(false);
    this.#first = undefined;
    return first;
  }

  /** @param isDue whether a message is required of which nothing has arrived yet */
  async #read(isDue: boolean): Promise<IteratorResult<Uint8Array>> {
    try {
      return await this.#join(isDue);
    } catch (error) {
      this.#held.take();
      throw error;
    } finally {
      this.#watch?.end();
    }
  }

  async #join(isAwaited: boolean): Promise<IteratorResult<Uint8Array>> {
    // connect-node's body throws if it is read again after its end.
    if (this.#ended !== undefined) return this.#ended;
    const watch = this.#watch;
    for (;;) {
      const more = this.#source.next();
      const isIncomplete = isAwaited || this.#isWithinMessage;
      const step = await (isIncomplete && watch !== undefined ? watch.await(more) : more);
      if (step.done === true) {
        this.#ended = step;
        return this.#held.length > 0 ? { done: false, value: this.#held.take() } : step;
      }
      const piece = step.value;
      const isDue = this.#prefixed ? this.#endsMessage(piece) : this.#isTooLarge(piece);
      if (isDue && this.#held.length === 0) return step;
      watch?.hold(piece.length, this.#held.growthFor(piece.length));
      this.#held.append(piece);
      if (isDue) return { done: false, value: this.#held.take() };
    }
  }

  return(value?: unknown): Promise<IteratorResult<Uint8Array>> {
    return this.#source.return?.(value) ?? Promise.resolve({ done: true, value: undefined });
  }

  throw(reason?: unknown): Promise<IteratorResult<Uint8Array>> {
    return this.#source.throw?.(reason) ?? Promise.reject(reason);
  }

  /** The start of a message may have been passed on with the end of the one before. */
  get #isWithinMessage(): boolean {
    return this.#held.length > 0 || this.#left > 0 || this.#prefixFilled > 0;
  }

  #isTooLarge(piece: Uint8Array): boolean {
    return this.#held.length + piece.length > this.#maxBytes;
  }

  /** Whether a message ends in this piece, or one begins that is too large. */
  #endsMessage(piece: Uint8Array): boolean {
    let isDue = false;
    let at = 0;
    while (at < piece.length) {
      if (this.#left > 0) {
        const taken = Math.min(this.#left, piece.length - at);
        this.#left -= taken;
        at += taken;
        if (this.#left === 0) isDue = true;
        continue;
      }
      this.#prefix[this.#prefixFilled++] = piece[at++]!;
      if (this.#prefixFilled < prefixBytes) continue;
      this.#prefixFilled = 0;
      this.#left = this.#prefix.readUInt32BE(1);
      if (this.#left === 0 || this.#left > this.#maxBytes) isDue = true;
    }
    return isDue;
  }
}
