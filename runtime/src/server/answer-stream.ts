import type { ServerCall } from "../call.ts";
import type { MicroError } from "../error.ts";
import { checkAnswer, iteratorOf } from "./answer-shape.ts";

/** Begins to answer a streaming call. */
export type StreamAnswer = (
  call: ServerCall,
  requests: AsyncIterable<unknown>,
) => AsyncIterable<unknown>;

/** Whom an {@link AnswerStream} tells how it goes. */
export interface AnswerStreamOwner {
  /** The call has failed; returns what its caller gets. */
  failed(call: ServerCall, reason: unknown): MicroError;
  /** The handler has ended, in whatever way. Called once. */
  ended(call: ServerCall): void;
  /** Something failed that no caller waits for any more. */
  report(call: ServerCall, reason: unknown): void;
}

/**
 * The answers of a streaming handler as a transport takes them: checked, with errors that a caller may see,
 * and with word of the end. Written by hand rather than as a generator, because a stream's messages are a hot
 * path and this costs one promise each.
 */
export class AnswerStream implements AsyncIterableIterator<unknown> {
  readonly #call: ServerCall;
  readonly #requests: AsyncIterable<unknown>;
  readonly #answer: StreamAnswer;
  readonly #owner: AnswerStreamOwner;
  #answers: AsyncIterator<unknown> | undefined;
  /** Nothing more comes out. */
  #done = false;
  /** The owner knows that the handler has ended. */
  #ended = false;

  constructor(
    call: ServerCall,
    requests: AsyncIterable<unknown>,
    answer: StreamAnswer,
    owner: AnswerStreamOwner,
  ) {
    this.#call = call;
    this.#requests = requests;
    this.#answer = answer;
    this.#owner = owner;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<IteratorResult<unknown>> {
    if (this.#done) return Promise.resolve(endOfStream);
    try {
      this.#answers ??= iteratorOf(this.#call.method, this.#answer(this.#call, this.#requests));
      return Promise.resolve(this.#answers.next()).then(this.#take, this.#fail);
    } catch (reason) {
      return this.#rejected(reason);
    }
  }

  /** Gives the rest up. Resolves when the handler has cleaned up after itself. */
  async return(): Promise<IteratorResult<unknown>> {
    this.#done = true;
    await this.#stop();
    this.#end();
    return endOfStream;
  }

  readonly #take = (step: IteratorResult<unknown>): IteratorResult<unknown> => {
    if (this.#done) return endOfStream;
    try {
      if (step.done === true) {
        this.#done = true;
        this.#end();
        return endOfStream;
      }
      checkAnswer(this.#call.method, step.value);
      return step;
    } catch (reason) {
      this.#done = true;
      void this.#stop().then(() => this.#end());
      throw this.#owner.failed(this.#call, reason);
    }
  };

  readonly #fail = (reason: unknown): IteratorResult<unknown> => {
    if (this.#done) return endOfStream;
    this.#done = true;
    const error = this.#owner.failed(this.#call, reason);
    this.#end();
    throw error;
  };

  async #rejected(reason: unknown): Promise<IteratorResult<unknown>> {
    return this.#fail(reason);
  }

  async #stop(): Promise<void> {
    try {
      await this.#answers?.return?.();
    } catch (reason) {
      this.#owner.report(this.#call, reason);
    }
  }

  #end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#owner.ended(this.#call);
  }
}

const endOfStream: IteratorResult<unknown> = Object.freeze({ done: true, value: undefined });

/** The answers of a call that failed before it had any. */
export class FailedStream implements AsyncIterableIterator<unknown> {
  readonly #error: MicroError;

  constructor(error: MicroError) {
    this.#error = error;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async next(): Promise<IteratorResult<unknown>> {
    throw this.#error;
  }

  async return(): Promise<IteratorResult<unknown>> {
    return endOfStream;
  }
}
