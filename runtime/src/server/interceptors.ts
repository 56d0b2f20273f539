import { iteratorOf } from "./answer-shape.ts";
import type { StreamAnswer } from "./answer-stream.ts";
import type { Faults } from "./faults.ts";
import type { Handler, UnaryAnswer } from "./handlers.ts";
import type { ServerInterceptor } from "./server.ts";

/**
 * A handler with the interceptors around it, put together once when it is registered. What the handler
 * throws becomes a MicroError before the innermost interceptor sees it, so all of them see what the caller
 * will.
 */
export function intercept(
  handler: Handler,
  interceptors: readonly ServerInterceptor[],
  faults: Faults,
): Handler {
  return handler.unary === undefined
    ? { stream: interceptStream(handler.stream, interceptors, faults) }
    : { unary: interceptUnary(handler.unary, interceptors, faults) };
}

function interceptUnary(
  handler: UnaryAnswer,
  interceptors: readonly ServerInterceptor[],
  faults: Faults,
): UnaryAnswer {
  const guarded: UnaryAnswer = (call, request) => {
    const fault = (reason: unknown): never => {
      throw faults.ofHandler(call, reason);
    };
    try {
      return Promise.resolve(handler(call, request)).then(undefined, fault);
    } catch (reason) {
      return fault(reason);
    }
  };
  return interceptors.reduceRight<UnaryAnswer>((inner, interceptor) => {
    if (interceptor.unary === undefined) return inner;
    return (call, request) => {
      const next = (passed: unknown): Promise<unknown> => {
        try {
          return Promise.resolve(inner(call, passed));
        } catch (reason) {
          return Promise.reject(reason);
        }
      };
      return interceptor.unary!(call, request, next);
    };
  }, guarded);
}

function interceptStream(
  handler: StreamAnswer,
  interceptors: readonly ServerInterceptor[],
  faults: Faults,
): StreamAnswer {
  const guarded: StreamAnswer = async function* (call, requests) {
    try {
      const answers = iteratorOf(call.method, handler(call, requests));
      yield* { [Symbol.asyncIterator]: () => answers };
    } catch (reason) {
      throw faults.ofHandler(call, reason);
    }
  };
  return interceptors.reduceRight<StreamAnswer>((next, interceptor) => {
    if (interceptor.stream === undefined) return next;
    return (call, requests) => interceptor.stream!(call, requests, (passed) => next(call, passed));
  }, guarded);
}
