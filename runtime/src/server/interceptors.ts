import { MicroError } from "../base/error.ts";
import { EventRejected } from "../broker/broker.ts";
import type { Awaitable, ServerCall } from "../call/call.ts";
import { around, aroundStream, checkInterceptors } from "../call/interception.ts";
import type { HandlerErrors } from "./handler-errors.ts";
import type { Handler, UnaryResponse } from "./handlers.ts";
import type { StreamResponse } from "./response-stream.ts";
import type {
  EventContext,
  Incoming,
  ServerInterceptor,
  ServerInterceptorFunction,
  ServerMessageInterceptor,
} from "./server.ts";
import { iteratorOf } from "./validate-response.ts";

/** Handles the decoded message of an event. */
export type EventHandling = (message: unknown, context: EventContext) => Awaitable<void>;

/** An interceptor in the server's internal form: an event comes with the name of its subscriber. */
export interface ServerInterception extends Omit<ServerMessageInterceptor, "event"> {
  event(
    context: EventContext,
    message: unknown,
    next: (message: unknown) => Promise<void>,
    subscriber: string,
  ): Promise<void>;
}

/**
 * Converts the interceptors of a server to one form, in the given order.
 * @throws MicroError `invalid_argument` for an interceptor that does not cover all kinds.
 */
export function serverInterceptors(
  given: readonly ServerInterceptor[] = [],
): readonly ServerInterception[] {
  checkInterceptors("interceptors", given, ["unary", "stream", "event"]);
  return given.map((it) => (typeof it === "function" ? ofFunction(it) : it));
}

/**
 * Wraps a handler in the interceptors, once when it is registered. A value that the handler throws
 * becomes a MicroError before the innermost interceptor sees it, so all of them see what the caller
 * will see.
 */
export function intercept(
  handler: Handler,
  interceptors: readonly ServerInterception[],
  errors: HandlerErrors,
): Handler {
  return handler.unary === undefined
    ? { stream: interceptStream(handler.stream, interceptors, errors) }
    : { unary: interceptUnary(handler.unary, interceptors, errors) };
}

/** Wraps a subscriber's handler in the interceptors. */
export function interceptEvent(
  handler: EventHandling,
  interceptors: readonly ServerInterception[],
  subscriber: string,
): EventHandling {
  return interceptors.reduceRight<EventHandling>(
    (inner, interceptor) => (message, context) =>
      interceptor.event(context, message, async (passed) => inner(passed, context), subscriber),
    handler,
  );
}

function interceptUnary(
  handler: UnaryResponse,
  interceptors: readonly ServerInterception[],
  errors: HandlerErrors,
): UnaryResponse {
  const guarded: UnaryResponse = (call, request) => {
    const fault = (reason: unknown): never => {
      throw errors.fromHandler(call, reason);
    };
    try {
      return Promise.resolve(handler(call, request)).then(undefined, fault);
    } catch (reason) {
      return fault(reason);
    }
  };
  return interceptors.reduceRight<UnaryResponse>((inner, interceptor) => {
    return (call, request) => {
      const next = (passed: unknown): Promise<unknown> => {
        try {
          return Promise.resolve(inner(call, passed));
        } catch (reason) {
          return Promise.reject(reason);
        }
      };
      return interceptor.unary(call, request, next);
    };
  }, guarded);
}

function interceptStream(
  handler: StreamResponse,
  interceptors: readonly ServerInterception[],
  errors: HandlerErrors,
): StreamResponse {
  const guarded: StreamResponse = async function* (call, requests) {
    try {
      const responses = iteratorOf(call.method, handler(call, requests));
      yield* { [Symbol.asyncIterator]: () => responses };
    } catch (reason) {
      throw errors.fromHandler(call, reason);
    }
  };
  return interceptors.reduceRight<StreamResponse>((next, interceptor) => {
    return (call, requests) => interceptor.stream(call, requests, (passed) => next(call, passed));
  }, guarded);
}

/** Adapts an interceptor function to a message interceptor; it never sees the messages. */
function ofFunction(interceptor: ServerInterceptorFunction): ServerInterception {
  return {
    unary(context, request, next) {
      const incoming = incomingCall(context as ServerCall);
      return around(
        incoming.name,
        (proceed) => interceptor(incoming, proceed),
        () => {
          // The caller may have left while the interceptor decided.
          const { cancelled } = context as ServerCall;
          return cancelled === undefined ? next(request) : Promise.reject(cancelled);
        },
      );
    },
    stream(context, requests, next) {
      const incoming = incomingCall(context as ServerCall);
      return aroundStream(
        incoming.name,
        (proceed) => interceptor(incoming, proceed),
        () => {
          const { cancelled } = context as ServerCall;
          if (cancelled !== undefined) throw cancelled;
          return next(requests);
        },
      );
    },
    async event(context, message, next, name) {
      const incoming: Incoming = { kind: "event", name, metadata: context.metadata, context };
      let passed = false;
      try {
        await around(
          name,
          (proceed) => interceptor(incoming, proceed),
          () => {
            passed = true;
            return next(message);
          },
        );
      } catch (reason) {
        if (!passed && isRefusal(reason))
          throw new EventRejected(reason.message, { cause: reason });
        throw reason;
      }
    },
  };
}

function incomingCall(context: ServerCall): Incoming {
  const { method, requestMetadata } = context;
  return { kind: method.kind, name: method.name, metadata: requestMetadata, context };
}

/** Whether an interceptor denied the sender, which no redelivery changes. */
function isRefusal(reason: unknown): reason is MicroError {
  return (
    reason instanceof MicroError &&
    (reason.code === "unauthenticated" || reason.code === "permission_denied")
  );
}
