import {
  around,
  aroundStream as aroundResponses,
  checkInterceptors,
} from "../call/interception.ts";
import type { ClientInterceptor, ClientMessageInterceptor } from "./client.ts";
import type { OutboundCall } from "./outbound-call.ts";

/** Makes a unary call: the attempts themselves, or interceptors around them. */
export type UnaryCaller = (call: OutboundCall, request: unknown) => Promise<unknown>;

/** Requests as the caller passed them. */
export type Requests = AsyncIterable<unknown> | Iterable<unknown>;

/** Makes a streaming call. */
export type StreamCaller = (call: OutboundCall, requests: Requests) => AsyncIterable<unknown>;

/**
 * Converts the interceptors of a client to one form, in the given order.
 * @throws MicroError `invalid_argument` for an interceptor that does not cover all kinds of calls.
 */
export function clientInterceptors(
  given: readonly ClientInterceptor[] = [],
): readonly ClientMessageInterceptor[] {
  checkInterceptors("interceptors", given, ["unary", "stream"]);
  return given.map((it) => {
    if (typeof it !== "function") return it;
    return {
      unary: (call, request, next) =>
        around(
          call.method.name,
          (proceed) => it(call, proceed),
          () => next(request),
        ),
      stream: (call, requests, next) =>
        aroundResponses(
          call.method.name,
          (proceed) => it(call, proceed),
          () => next(requests),
        ),
    };
  });
}

/**
 * Wraps the attempts of a unary call in the interceptors; returns the attempts themselves if there
 * are none.
 */
export function aroundUnary(
  interceptors: readonly ClientMessageInterceptor[],
  attempts: UnaryCaller,
): UnaryCaller {
  return interceptors.reduceRight((inner, interceptor) => {
    return (call, request) => interceptor.unary(call, request, (next) => inner(call, next));
  }, attempts);
}

/** Wraps the attempts of a streaming call in the interceptors. */
export function aroundStream(
  interceptors: readonly ClientMessageInterceptor[],
  attempts: StreamCaller,
): StreamCaller {
  return interceptors.reduceRight<StreamCaller>((inner, interceptor) => {
    return (call, requests) => interceptor.stream(call, requests, (next) => inner(call, next));
  }, attempts);
}
