import { checkOptions, count } from "../base/option-check.ts";

/** Options of {@link inBatches}. */
export interface BatchOptions {
  /** The most messages of a batch. Default 256. */
  readonly maxMessages?: number;
}

/** An iterator that returns messages that have arrived without a promise each. */
interface BufferedReader<T> extends AsyncIterator<T> {
  buffered?(): IteratorYieldResult<T> | undefined;
}

const ended: IteratorReturnResult<undefined> = { done: true, value: undefined };

/**
 * Reads a stream in arrays of the messages that have arrived, at least one each: a loop over the
 * messages of an array takes less time than an `await` for each message. It never waits for a batch
 * to become full. Leaving the loop ends the stream, as leaving a loop over the stream itself does.
 *
 * @throws MicroError `invalid_argument` for an option that is not valid
 * @example
 * ```ts
 * import { inBatches } from "@micro-es/runtime";
 *
 * declare const ticks: AsyncIterable<{ readonly number: number }>;
 * for await (const batch of inBatches(ticks)) {
 *   for (const { number } of batch) console.log(number);
 * }
 * ```
 */
export function inBatches<T>(
  stream: AsyncIterable<T>,
  options: BatchOptions = {},
): AsyncIterable<readonly T[]> {
  checkOptions("inBatches", options, { maxMessages: count });
  const { maxMessages = 256 } = options;
  return { [Symbol.asyncIterator]: () => new Batches(stream[Symbol.asyncIterator](), maxMessages) };
}

class Batches<T> implements AsyncIterator<readonly T[], undefined> {
  readonly #messages: BufferedReader<T>;
  readonly #maxMessages: number;

  constructor(messages: BufferedReader<T>, maxMessages: number) {
    this.#messages = messages;
    this.#maxMessages = maxMessages;
  }

  async next(): Promise<IteratorResult<readonly T[], undefined>> {
    const messages = this.#messages;
    const first = await messages.next();
    if (first.done === true) return ended;
    const batch = [first.value];
    while (batch.length < this.#maxMessages) {
      const more = messages.buffered?.();
      if (more === undefined) break;
      batch.push(more.value);
    }
    return { done: false, value: batch };
  }

  async return(): Promise<IteratorReturnResult<undefined>> {
    await this.#messages.return?.();
    return ended;
  }
}
