import { hasPassed } from "../base/deadline.ts";
import {
  asMicroError,
  isMicroError,
  MicroError,
  messageOf,
  type Outcome,
  wellFormed,
} from "../base/error.ts";
import type { Metadata } from "../base/metadata.ts";
import { deadlineExceeded } from "../call/call.ts";
import type { AnyMethod } from "../call/method.ts";
import type { OutgoingCall } from "./transport.ts";

/**
 * Returns the error of a call whose signal was aborted: `canceled`, or `deadline_exceeded` for a
 * timeout.
 */
export function cancelledBy(reason: unknown, what: string, outcome: Outcome): MicroError {
  const cause = asMicroError(reason, "canceled");
  const timeout = cause.code === "deadline_exceeded";
  return new MicroError(
    timeout ? "deadline_exceeded" : "canceled",
    timeout ? `${what} got no response by its deadline` : `${what} was cancelled by its caller`,
    { outcome, cause: reason },
  );
}

/**
 * Returns the error that a caller sees for what a handler threw. A MicroError is passed on as it
 * is; any other value reveals nothing.
 */
export function responseError(reason: unknown, method: string): MicroError {
  if (isMicroError(reason)) return wellFormed(reason);
  return new MicroError("internal", `the handler of ${method} failed`, {
    outcome: "executed",
    cause: reason,
  });
}

/** Returns the error for a response that is not a valid message of the method's output type. */
export function invalidResponse(method: AnyMethod, reason: unknown): MicroError {
  return new MicroError(
    "internal",
    `the handler of ${method.name} did not return a ${method.output.typeName || "message"}`,
    { outcome: "executed", cause: reason },
  );
}

/** Encodes the metadata of a response. If it exceeds a limit, the call has still been executed. */
export function encodeMetadata(metadata: Metadata, method: AnyMethod): Uint8Array {
  try {
    return metadata.encode();
  } catch (cause) {
    throw new MicroError(
      "resource_exhausted",
      `the response of ${method.name}: ${messageOf(cause)}`,
      {
        outcome: "executed",
        cause,
      },
    );
  }
}

/** Returns the error for a response that arrived but cannot be decoded within the limits. */
export function undecodableResponse(reason: unknown, method: string): MicroError {
  const tooMuch = isMicroError(reason) && reason.code === "resource_exhausted";
  return new MicroError(
    tooMuch ? "resource_exhausted" : "internal",
    `the response of ${method} cannot be read: ${messageOf(reason)}`,
    {
      outcome: "executed",
      cause: reason,
    },
  );
}

/**
 * Returns the error for a message that cannot be encoded or decoded, with the outcome of its call.
 */
export function codecError(reason: unknown, outcome: Outcome): MicroError {
  const error = asMicroError(reason, "invalid_argument", { outcome });
  if (error.outcome === outcome) return error;
  return new MicroError(error.code, error.message, { outcome, cause: reason });
}

/** Returns the error for a message over the size limit. */
export function messageTooLarge(
  what: string,
  bytes: number,
  limit: number,
  outcome: Outcome,
): MicroError {
  return new MicroError(
    "resource_exhausted",
    `${what} has ${bytes} bytes, over the limit of ${limit}; send less, send a stream, or raise maxMessageBytes on both sides`,
    { outcome },
  );
}

/** Returns the error that replaces a response when the client leaves its responses unread. */
export function responseUnread(method: string): MicroError {
  return new MicroError(
    "resource_exhausted",
    `the response of ${method} was dropped, because too many bytes wait on the connection for its client; read them, or make fewer calls at once`,
    { outcome: "executed" },
  );
}

/** Returns the error for a call on a channel that accepts no new calls. */
export function channelNotOpen(address: string, state: string): MicroError {
  return new MicroError(
    "unavailable",
    `the channel to ${address} is ${state}: dial again, or call another node`,
    { outcome: "not-executed" },
  );
}

/** Returns the error for a call that exceeds the limit of its connection. */
export function tooManyCalls(address: string, limit: number): MicroError {
  return new MicroError(
    "resource_exhausted",
    `the channel to ${address} has ${limit} open calls, which is its limit (maxConcurrentCalls)`,
    { outcome: "not-executed" },
  );
}

/** Returns the error for a call that arrives while the listener drains. */
export function listenerDraining(address: string): MicroError {
  return new MicroError("unavailable", `${address} is draining and accepts no further calls`, {
    outcome: "not-executed",
  });
}

/** Returns the error for a method that is not served here. */
export function unknownMethod(name: string, address: string): MicroError {
  return new MicroError(
    "unimplemented",
    `${address} has no method ${JSON.stringify(name)}; check that its handler is registered there`,
    { outcome: "not-executed" },
  );
}

/** Returns the error for a call that was cut off because its connection ended. */
export function connectionLost(method: string, reason: MicroError, outcome: Outcome): MicroError {
  return new MicroError("unavailable", `${method} got no response: ${reason.message}`, {
    outcome,
    cause: reason,
  });
}

/** Returns the error for a content type that a method does not support here. */
export function unknownContentType(contentType: string, method: AnyMethod): MicroError {
  return new MicroError(
    "unimplemented",
    `${method.name} does not accept ${JSON.stringify(contentType)} here; use ${method.input.contentType}`,
    { outcome: "not-executed" },
  );
}

/** Returns why a call must not begin: its signal is aborted, or its deadline has passed. */
export function callRefusal(method: string, call: OutgoingCall): MicroError | undefined {
  if (call.signal?.aborted === true) {
    return cancelledBy(call.signal.reason, method, "not-executed");
  }
  if (hasPassed(call.deadline)) {
    return deadlineExceeded(method, "not-executed");
  }
  return undefined;
}

/** Returns the reason with which a handler's signal aborts when no caller is waiting any longer. */
export function callerGone(method: string): MicroError {
  return new MicroError("canceled", `the caller of ${method} cancelled the call or disconnected`);
}

/** Returns the error for reading the requests of a call that has ended. */
export function callEnded(method: string): MicroError {
  return new MicroError(
    "canceled",
    `the call of ${method} has ended, so it has no further requests`,
  );
}

/**
 * Returns the error for a call whose caller and server disagree on whether the method is streaming.
 */
export function wrongKind(method: AnyMethod, streaming: boolean): MicroError {
  const called = streaming ? "a stream" : "unary";
  return new MicroError(
    "unimplemented",
    `${method.name} is ${method.kind} here and was called as ${called}: generate client and server from the same .proto`,
    { outcome: "not-executed" },
  );
}
