import type { Awaitable, CallContext, ServerCall } from "../call.ts";
import { MicroError } from "../error.ts";
import type { AnyMethod } from "../method.ts";
import { iteratorOf } from "./answer-shape.ts";
import type { StreamAnswer } from "./answer-stream.ts";

/** Answers a unary call. */
export type UnaryAnswer = (call: ServerCall, request: unknown) => Awaitable<unknown>;

/** Answers calls of the one method it was registered for, as its kind has it. */
export type Handler =
  | { readonly unary: UnaryAnswer; readonly stream?: undefined }
  | { readonly stream: StreamAnswer; readonly unary?: undefined };

/** A handler of one request and many answers, as one of many requests. */
export function serverStreamHandler(
  method: AnyMethod,
  handler: (request: unknown, context: CallContext) => AsyncIterable<unknown>,
): Handler {
  return {
    stream: (call, requests) => new SingleRequestStream(method, handler, call, requests),
  };
}

/** A handler of many requests and one answer, as one of many answers. */
export function clientStreamHandler(
  handler: (requests: AsyncIterable<unknown>, context: CallContext) => Awaitable<unknown>,
): Handler {
  return {
    async *stream(call, requests) {
      yield await handler(requests, call);
    },
  };
}

/** Waits for the request, and is the handler's own iterator from then on. */
class SingleRequestStream implements AsyncIterableIterator<unknown> {
  readonly #method: AnyMethod;
  readonly #handler: (request: unknown, context: CallContext) => AsyncIterable<unknown>;
  readonly #call: ServerCall;
  readonly #requests: AsyncIterable<unknown>;
  #answers: AsyncIterator<unknown> | undefined;
  #done = false;

  constructor(
    method: AnyMethod,
    handler: (request: unknown, context: CallContext) => AsyncIterable<unknown>,
    call: ServerCall,
    requests: AsyncIterable<unknown>,
  ) {
    this.#method = method;
    this.#handler = handler;
    this.#call = call;
    this.#requests = requests;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<IteratorResult<unknown>> {
    return this.#answers === undefined ? this.#begin() : this.#answers.next();
  }

  async return(): Promise<IteratorResult<unknown>> {
    this.#done = true;
    await this.#answers?.return?.();
    return { done: true, value: undefined };
  }

  async #begin(): Promise<IteratorResult<unknown>> {
    const first = await this.#requests[Symbol.asyncIterator]().next();
    if (this.#done) return { done: true, value: undefined };
    if (first.done === true) {
      throw new MicroError(
        "invalid_argument",
        `${this.#method.name} takes one request, and the caller sent none`,
        { outcome: "not-executed" },
      );
    }
    this.#answers = iteratorOf(this.#method, this.#handler(first.value, this.#call));
    return this.#answers.next();
  }
}
