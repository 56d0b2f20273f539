import { deadlineExceeded } from "../call.ts";
import { hasPassed } from "../deadline.ts";
import { asMicroError, MicroError, type Outcome } from "../error.ts";
import type { Metadata } from "../metadata.ts";
import type { AnyMethod } from "../method.ts";
import type { OutgoingCall } from "./transport.ts";

/** The error of a call whose signal fired: `canceled`, or `deadline_exceeded` where it was a timeout. */
export function cancelledBy(reason: unknown, what: string, outcome: Outcome): MicroError {
  const cause = asMicroError(reason, "canceled");
  const timeout = cause.code === "deadline_exceeded";
  return new MicroError(
    timeout ? "deadline_exceeded" : "canceled",
    timeout ? `${what} was not answered by its deadline` : `${what} was cancelled by its caller`,
    { outcome, cause: reason },
  );
}

/** What a caller may see of something that a handler threw: a MicroError as it is, of anything else nothing. */
export function answerError(reason: unknown, method: string): MicroError {
  if (reason instanceof MicroError) return reason;
  return new MicroError("internal", `the handler of ${method} failed`, {
    outcome: "executed",
    cause: reason,
  });
}

/** The error of an answer that is no message of the method's output type. */
export function invalidAnswer(method: AnyMethod, reason: unknown): MicroError {
  return new MicroError(
    "internal",
    `the handler of ${method.name} returned what is no ${method.output.typeName || "message"}`,
    { outcome: "executed", cause: reason },
  );
}

/** Metadata of an answer in bytes; where there is too much of it, the call has been executed all the same. */
export function encodeMetadata(metadata: Metadata, method: AnyMethod): Uint8Array {
  try {
    return metadata.encode();
  } catch (cause) {
    const text = cause instanceof Error ? cause.message : String(cause);
    throw new MicroError("resource_exhausted", `the answer of ${method.name}: ${text}`, {
      outcome: "executed",
      cause,
    });
  }
}

/** The error of an answer that came and cannot be read. */
export function undecodableAnswer(reason: unknown, method: string): MicroError {
  const text = reason instanceof Error ? reason.message : String(reason);
  return new MicroError("internal", `the answer of ${method} cannot be read: ${text}`, {
    outcome: "executed",
    cause: reason,
  });
}

/** The error of a message that does not encode or decode, with what it means for its call. */
export function codecError(reason: unknown, outcome: Outcome): MicroError {
  const error = asMicroError(reason, "invalid_argument", { outcome });
  if (error.outcome === outcome) return error;
  return new MicroError(error.code, error.message, { outcome, cause: reason });
}

/** The error of a message that is over the limit. */
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

/** The error of a call on a channel that takes none. */
export function channelNotOpen(address: string, state: string): MicroError {
  return new MicroError(
    "unavailable",
    `the channel to ${address} is ${state}: dial again, or call another node`,
    { outcome: "not-executed" },
  );
}

/** The error of a call that would be one too many on its connection. */
export function tooManyCalls(address: string, limit: number): MicroError {
  return new MicroError(
    "resource_exhausted",
    `the channel to ${address} has ${limit} open calls, which is its limit (maxConcurrentCalls)`,
    { outcome: "not-executed" },
  );
}

/** The error of a call that comes in while the listener drains. */
export function listenerDraining(address: string): MicroError {
  return new MicroError("unavailable", `${address} is draining and takes no further call`, {
    outcome: "not-executed",
  });
}

/** The error of a method that nobody answers here. */
export function unknownMethod(name: string, address: string): MicroError {
  return new MicroError(
    "unimplemented",
    `${address} has no method ${JSON.stringify(name)}; check that its handler is registered there`,
    { outcome: "not-executed" },
  );
}

/** The error of a call that was cut off because its connection ended. */
export function connectionLost(method: string, reason: MicroError, outcome: Outcome): MicroError {
  return new MicroError("unavailable", `${method} was not answered: ${reason.message}`, {
    outcome,
    cause: reason,
  });
}

/** The error of a content type that a method is not spoken in here. */
export function unknownContentType(contentType: string, method: AnyMethod): MicroError {
  return new MicroError(
    "unimplemented",
    `${method.name} is not spoken in ${JSON.stringify(contentType)} here, but in ${method.input.contentType}`,
    { outcome: "not-executed" },
  );
}

/** Why a call must not begin at all: its signal has fired, or its deadline has passed. */
export function callRefusal(method: string, call: OutgoingCall): MicroError | undefined {
  if (call.signal?.aborted === true) {
    return cancelledBy(call.signal.reason, method, "not-executed");
  }
  if (hasPassed(call.deadline)) {
    return deadlineExceeded(method, "not-executed");
  }
  return undefined;
}

/** Why a handler's signal fires when nobody waits for its answer any more. */
export function callerGone(method: string): MicroError {
  return new MicroError("canceled", `the caller of ${method} gave the call up or is gone`);
}

/** Why the requests of a call that has ended cannot be read. */
export function callEnded(method: string): MicroError {
  return new MicroError("canceled", `the call of ${method} has ended, so no request comes`);
}

/** The error of a call whose caller takes the method for another kind than it is. */
export function wrongKind(method: AnyMethod, streaming: boolean): MicroError {
  const called = streaming ? "a stream" : "unary";
  return new MicroError(
    "unimplemented",
    `${method.name} is ${method.kind} here and was called as ${called}: generate client and server from the same .proto`,
    { outcome: "not-executed" },
  );
}
