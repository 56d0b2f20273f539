import { MicroError } from "../base/error.ts";
import type { Awaitable, CallContext, ServerCall } from "../call/call.ts";
import type { AnyMethod } from "../call/method.ts";
import type { StreamResponse } from "./response-stream.ts";
import { iteratorOf } from "./validate-response.ts";

/** Handles a unary call. */
export type UnaryResponse = (call: ServerCall, request: unknown) => Awaitable<unknown>;

/** Handles calls of the method it was registered for, according to the method's kind. */
export type Handler =
  | { readonly unary: UnaryResponse; readonly stream?: undefined }
  | { readonly stream: StreamResponse; readonly unary?: undefined };

/** Adapts a server-streaming handler to a stream of requests. */
export function serverStreamHandler(
  method: AnyMethod,
  handler: (request: unknown, context: CallContext) => AsyncIterable<unknown>,
): Handler {
  return {
    stream: (call, requests) => new SingleRequestStream(method, handler, call, requests),
  };
}

/** Adapts a client-streaming handler to a stream of responses. */
export function clientStreamHandler(
  handler: (requests: AsyncIterable<unknown>, context: CallContext) => Awaitable<unknown>,
): Handler {
  return {
    async *stream(call, requests) {
      yield await handler(requests, call);
    },
  };
}

/** Waits for the request, and then delegates to the handler's own iterator. */
class SingleRequestStream implements AsyncIterableIterator<unknown> {
  readonly #method: AnyMethod;
  readonly #handler: (request: unknown, context: CallContext) => AsyncIterable<unknown>;
  readonly #call: ServerCall;
  readonly #requests: AsyncIterable<unknown>;
  #responses: AsyncIterator<unknown> | undefined;
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
    return this.#responses === undefined ? this.#begin() : this.#responses.next();
  }

  async return(): Promise<IteratorResult<unknown>> {
    this.#done = true;
    await this.#responses?.return?.();
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
    this.#responses = iteratorOf(this.#method, this.#handler(first.value, this.#call));
    return this.#responses.next();
  }
}
