import type { ClientInterceptor } from "./client.ts";
import type { OutboundCall } from "./outbound-call.ts";

/** What answers a unary call: the attempts themselves, or interceptors around them. */
export type UnaryCaller = (call: OutboundCall, request: unknown) => Promise<unknown>;

/** Requests as a caller gives them. */
export type Requests = AsyncIterable<unknown> | Iterable<unknown>;

/** What answers a streaming call. */
export type StreamCaller = (call: OutboundCall, requests: Requests) => AsyncIterable<unknown>;

/** The interceptors around the attempts of a unary call; with none of them the attempts themselves. */
export function aroundUnary(
  interceptors: readonly ClientInterceptor[],
  attempts: UnaryCaller,
): UnaryCaller {
  return interceptors.reduceRight((inner, interceptor) => {
    if (interceptor.unary === undefined) return inner;
    return (call, request) => interceptor.unary!(call, request, (next) => inner(call, next));
  }, attempts);
}

/** The interceptors around the attempts of a streaming call. */
export function aroundStream(
  interceptors: readonly ClientInterceptor[],
  attempts: StreamCaller,
): StreamCaller {
  return interceptors.reduceRight<StreamCaller>((inner, interceptor) => {
    const intercept = interceptor.stream?.bind(interceptor);
    if (intercept === undefined) return inner;
    return (call, requests) => intercept(call, requests, (next) => inner(call, next));
  }, attempts);
}
