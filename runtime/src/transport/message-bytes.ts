import type { Outcome } from "../base/error.ts";
import type { ServerCall } from "../call/call.ts";
import type { AnyMethod } from "../call/method.ts";
import { codecError, invalidResponse, messageTooLarge } from "./call-errors.ts";
import type { Dispatcher } from "./transport.ts";

/** Encodes a request into bytes that are not shared. */
export function encodeRequest(
  method: AnyMethod,
  init: unknown,
  limit: number,
  outcome: Outcome,
): Uint8Array {
  let bytes: Uint8Array;
  try {
    bytes = method.input.encode(init);
  } catch (reason) {
    throw codecError(reason, outcome);
  }
  if (bytes.length > limit) {
    throw messageTooLarge(`the request of ${method.name}`, bytes.length, limit, outcome);
  }
  return bytes === init ? new Uint8Array(bytes) : bytes;
}

/** Decodes a request for its handler. */
export function decodeRequest(method: AnyMethod, bytes: Uint8Array, outcome: Outcome): unknown {
  try {
    return method.input.decode(bytes);
  } catch (reason) {
    throw codecError(reason, outcome);
  }
}

/**
 * Encodes a response into bytes that are not shared. Throws the error for the caller if the
 * response is invalid.
 */
export function encodeResponse(
  dispatcher: Dispatcher,
  call: ServerCall,
  init: unknown,
  limit: number,
): Uint8Array {
  let bytes: Uint8Array;
  try {
    bytes = call.method.output.encode(init);
  } catch (reason) {
    throw dispatcher.invalidResponse?.(call, reason) ?? invalidResponse(call.method, reason);
  }
  if (bytes.length > limit) {
    throw messageTooLarge(`the response of ${call.method.name}`, bytes.length, limit, "executed");
  }
  return bytes === init ? new Uint8Array(bytes) : bytes;
}
