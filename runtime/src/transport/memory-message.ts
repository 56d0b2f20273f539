import { ServerCall } from "../call.ts";
import type { Deadline } from "../deadline.ts";
import type { MicroError, Outcome } from "../error.ts";
import { Metadata } from "../metadata.ts";
import type { AnyMethod } from "../method.ts";
import {
  codecError,
  encodeMetadata,
  invalidAnswer,
  messageTooLarge,
  unknownContentType,
  unknownMethod,
  wrongKind,
} from "./call-errors.ts";
import type { MemoryCalls } from "./memory-link.ts";
import type { Dispatcher, OutgoingCall } from "./transport.ts";

/** The other side's own copy of metadata; of an answer's where a method is given. */
export function copyMetadata(
  metadata: Metadata | undefined,
  answers?: AnyMethod,
): Metadata | undefined {
  if (metadata === undefined || metadata.isEmpty) return undefined;
  return Metadata.decode(
    answers === undefined ? metadata.encode() : encodeMetadata(metadata, answers),
  );
}

/** Hands over what goes along with the end of a call; returns why that is not possible. */
export function deliverMetadata(
  call: ServerCall | undefined,
  outgoing: OutgoingCall,
): MicroError | undefined {
  if (call === undefined) return undefined;
  try {
    outgoing.responseMetadata ??= copyMetadata(call.sentMetadata, call.method);
    outgoing.trailers = copyMetadata(call.sentTrailers, call.method);
    return undefined;
  } catch (error) {
    return error as MicroError;
  }
}

/** The call as its dispatcher gets it; throws the refusal where there is no such method. */
export function acceptCall(
  channel: MemoryCalls,
  called: AnyMethod,
  metadata: Metadata | undefined,
  deadline: Deadline,
  streaming: boolean,
): ServerCall {
  const { dispatcher, address } = channel.link;
  const method = dispatcher.method(called.name);
  if (method === undefined) {
    throw dispatcher.unknownMethod?.(called.name) ?? unknownMethod(called.name, address);
  }
  if (method.input.contentType !== called.input.contentType) {
    throw unknownContentType(called.input.contentType, method);
  }
  if ((method.kind !== "unary") !== streaming) throw wrongKind(method, streaming);
  return new ServerCall(method, channel.peer, metadata, deadline);
}

/** A request in bytes that belong to nobody else. */
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

/** The request as its handler gets it. */
export function decodeRequest(method: AnyMethod, bytes: Uint8Array, outcome: Outcome): unknown {
  try {
    return method.input.decode(bytes);
  } catch (reason) {
    throw codecError(reason, outcome);
  }
}

/** An answer in bytes that belong to nobody else; throws what the caller is told where it is none. */
export function encodeAnswer(
  dispatcher: Dispatcher,
  call: ServerCall,
  init: unknown,
  limit: number,
): Uint8Array {
  let bytes: Uint8Array;
  try {
    bytes = call.method.output.encode(init);
  } catch (reason) {
    throw dispatcher.invalidAnswer?.(call, reason) ?? invalidAnswer(call.method, reason);
  }
  if (bytes.length > limit) {
    throw messageTooLarge(`the answer of ${call.method.name}`, bytes.length, limit, "executed");
  }
  return bytes === init ? new Uint8Array(bytes) : bytes;
}
