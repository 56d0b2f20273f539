import type { Deadline } from "../../base/deadline.ts";
import type { MicroError } from "../../base/error.ts";
import { Metadata } from "../../base/metadata.ts";
import type { Identity } from "../../call/account.ts";
import { type Awaitable, type Peer, ServerCall } from "../../call/call.ts";
import type { AnyMethod } from "../../call/method.ts";
import { admitIdentity, credentialOf } from "../admission.ts";
import { encodeMetadata, unknownContentType, unknownMethod, wrongKind } from "../call-errors.ts";
import type { CallAccess, OutgoingCall } from "../transport.ts";
import type { MemoryCall, MemoryCalls } from "./link.ts";

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

/** The side of a call inside one process that its dispatcher sees. */
export class MemoryServerCall extends ServerCall {
  readonly #refused: MemoryCall;

  constructor(
    refused: MemoryCall,
    method: AnyMethod,
    peer: Peer,
    metadata: Metadata | undefined,
    deadline: Deadline,
  ) {
    super(method, peer, metadata, deadline);
    this.#refused = refused;
  }

  override refuse(error: MicroError): void {
    this.#refused.refuse(error);
  }
}

/** Returns who calls, once it is known that the caller may call the method. */
export function admitCaller(
  { link, peer }: MemoryCalls,
  { name }: AnyMethod,
  metadata: Metadata | undefined,
  access: CallAccess,
): Awaitable<Identity | undefined> {
  const identity = access.identify(credentialOf(metadata), peer);
  const method = link.dispatcher.method(name);
  return method === undefined ? identity : admitIdentity(access, method, identity, peer);
}

/** Creates the call for its dispatcher. Throws the refusal if there is no such method. */
export function acceptCall(
  accepting: MemoryCall,
  channel: MemoryCalls,
  called: AnyMethod,
  metadata: Metadata | undefined,
  streaming: boolean,
  identity: Identity | undefined,
): ServerCall {
  const { dispatcher, address } = channel.link;
  const method = dispatcher.method(called.name);
  if (method === undefined) {
    throw dispatcher.unknownMethod?.(called.name, identity) ?? unknownMethod(called.name, address);
  }
  if (method.input.contentType !== called.input.contentType) {
    throw unknownContentType(called.input.contentType, method);
  }
  if ((method.kind !== "unary") !== streaming) throw wrongKind(method, streaming);
  const call = new MemoryServerCall(accepting, method, channel.peer, metadata, accepting.deadline);
  if (dispatcher.access !== undefined) call.admit(identity);
  return call;
}
