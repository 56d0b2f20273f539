import type { Deadline } from "../../base/deadline.ts";
import type { MicroError } from "../../base/error.ts";
import { Metadata } from "../../base/metadata.ts";
import { ServerCall } from "../../call/call.ts";
import type { AnyMethod } from "../../call/method.ts";
import { encodeMetadata, unknownContentType, unknownMethod, wrongKind } from "../call-errors.ts";
import type { OutgoingCall } from "../transport.ts";
import type { MemoryCalls } from "./link.ts";

/** Copies metadata for the other side. A method is given for the metadata of a response. */
export function copyMetadata(
  metadata: Metadata | undefined,
  respondingMethod?: AnyMethod,
): Metadata | undefined {
  if (metadata === undefined || metadata.isEmpty) return undefined;
  return Metadata.decode(
    respondingMethod === undefined ? metadata.encode() : encodeMetadata(metadata, respondingMethod),
  );
}

/**
 * Delivers the response's metadata and trailers to the caller when the call ends; returns an error
 * if that is not possible.
 */
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

/** Creates the call for its dispatcher. Throws the refusal if there is no such method. */
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
