import type { ServerCall } from "../call.ts";
import type { MicroError } from "../error.ts";
import type { StepIterator, StepReceiver } from "../transport/transport.ts";
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
 * path and this costs no promise for a message beside the handler's own.
 */
export class AnswerStream implements AsyncIterableIterator<unknown>, StepIterator<unknown> {
  readonly #call: ServerCall;
  readonly #requests: AsyncIterable<unknown>;
  readonly #answer: StreamAnswer;
  readonly #owner: AnswerStreamOwner;
  #answers: AsyncIterator<unknown> | undefined;
  /** Who asked for the step that the handler makes now. */
  #receiver: StepReceiver<unknown> | undefined;
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
    return new Promise((stepped, threw) => this.step({ stepped, threw }));
  }

  step(receiver: StepReceiver<unknown>): void {
    this.#receiver = receiver;
    if (this.#done) {
      queueMicrotask(() => receiver.stepped(endOfStream));
      return;
    }
    try {
      this.#answers ??= iteratorOf(this.#call.method, this.#answer(this.#call, this.#requests));
      const step = this.#answers.next();
      const promise = step instanceof Promise ? step : Promise.resolve(step);
      promise.then(this.#take, this.#fail);
    } catch (reason) {
      queueMicrotask(() => this.#fail(reason));
    }
  }

  /** Gives the rest up. Resolves when the handler has cleaned up after itself. */
  async return(): Promise<IteratorResult<unknown>> {
    this.#done = true;
    await this.#stop();
    this.#end();
    return endOfStream;
  }

  readonly #take = (step: IteratorResult<unknown>): void => {
    const receiver = this.#receiver!;
    if (this.#done) {
      receiver.stepped(endOfStream);
      return;
    }
    try {
      if (step.done === true) {
        this.#done = true;
        this.#end();
        receiver.stepped(endOfStream);
        return;
      }
      checkAnswer(this.#call.method, step.value);
    } catch (reason) {
      this.#done = true;
      void this.#stop().then(() => this.#end());
      receiver.threw(this.#owner.failed(this.#call, reason));
      return;
    }
    receiver.stepped(step);
  };

  readonly #fail = (reason: unknown): void => {
    const receiver = this.#receiver!;
    if (this.#done) {
      receiver.stepped(endOfStream);
      return;
    }
    this.#done = true;
    const error = this.#owner.failed(this.#call, reason);
    this.#end();
    receiver.threw(error);
  };

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
