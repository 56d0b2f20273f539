import type { MicroError } from "../base/error.ts";
import type { ServerCall } from "../call/call.ts";
import type { StepIterator, StepReceiver } from "../transport/transport.ts";
import { iteratorOf, validateResponse } from "./validate-response.ts";

/** Starts a streaming call. */
export type StreamResponse = (
  call: ServerCall,
  requests: AsyncIterable<unknown>,
) => AsyncIterable<unknown>;

/** Callbacks through which a {@link ResponseStream} reports progress. */
export interface ResponseStreamOwner {
  /** The call has failed; returns the error that its caller receives. */
  failed(call: ServerCall, reason: unknown): MicroError;
  /** The handler has ended, for whatever reason. Called once. */
  ended(call: ServerCall): void;
  /** Something failed after the caller stopped waiting. */
  report(call: ServerCall, reason: unknown): void;
}

/**
 * The responses of a streaming handler as a transport reads them: validated, with errors that a
 * caller may see, and with the end reported to the owner. Written by hand rather than as a
 * generator: a stream's messages are a hot path, and this adds no promise per message to the
 * handler's own.
 */
export class ResponseStream implements AsyncIterableIterator<unknown>, StepIterator<unknown> {
  readonly #call: ServerCall;
  readonly #requests: AsyncIterable<unknown>;
  readonly #respond: StreamResponse;
  readonly #owner: ResponseStreamOwner;
  #responses: AsyncIterator<unknown> | undefined;
  /** The receiver of the step that the handler is producing. */
  #receiver: StepReceiver<unknown> | undefined;
  /** Whether the stream has ended for its reader. */
  #done = false;
  /** Whether the owner has been told that the handler has ended. */
  #ended = false;

  constructor(
    call: ServerCall,
    requests: AsyncIterable<unknown>,
    respond: StreamResponse,
    owner: ResponseStreamOwner,
  ) {
    this.#call = call;
    this.#requests = requests;
    this.#respond = respond;
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
      this.#responses ??= iteratorOf(this.#call.method, this.#respond(this.#call, this.#requests));
      const step = this.#responses.next();
      const promise = step instanceof Promise ? step : Promise.resolve(step);
      promise.then(this.#take, this.#fail);
    } catch (reason) {
      queueMicrotask(() => this.#fail(reason));
    }
  }

  /** Cancels the rest. Resolves when the handler has cleaned up. */
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
      validateResponse(this.#call.method, step.value);
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
      await this.#responses?.return?.();
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

/** The stream of a call that failed before its first response. */
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
