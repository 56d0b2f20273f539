import { remainingMs } from "../base/deadline.ts";
import type { Outcome } from "../base/error.ts";
import type { Metadata } from "../base/metadata.ts";
import { type AnyMethod, endpointOf } from "../call/method.ts";
import { codecError, messageTooLarge } from "../transport/call-errors.ts";
import type { OutgoingCall } from "../transport/transport.ts";
import { writeMetadata } from "./headers.ts";
import { headerName, type OutgoingHeader } from "./message.ts";
import type { OutgoingRequests } from "./outgoing-call.ts";

/**
 * Encodes the body of a request.
 * @throws MicroError if the message is not valid for the method, or exceeds a limit.
 */
export function encodeRequest(
  { callForm, limits }: OutgoingRequests,
  method: AnyMethod,
  init: unknown,
  outcome: Outcome,
): Uint8Array {
  let bytes: Uint8Array;
  try {
    bytes = callForm.form.codec(method.input).encode(init);
  } catch (reason) {
    throw codecError(reason, outcome);
  }
  if (bytes.length > limits.maxMessageBytes) {
    throw messageTooLarge(
      `the request of ${method.name}`,
      bytes.length,
      limits.maxMessageBytes,
      outcome,
    );
  }
  // The caller may modify bytes that are sent unchanged as soon as the call returns.
  return bytes === init ? new Uint8Array(bytes) : bytes;
}

/**
 * Returns the header of a message to a server. `timeout` names the line for the remaining time.
 * @throws MicroError `resource_exhausted` for metadata that is too large.
 */
export function requestHeader(
  { callForm }: OutgoingRequests,
  method: AnyMethod,
  { metadata, deadline }: OutgoingCall,
  id: string,
  timeout: string = headerName.timeout,
): OutgoingHeader {
  const header: OutgoingHeader = new Map();
  checkSize(metadata);
  writeMetadata(header, metadata);
  const endpoint = endpointOf(method.name);
  header.set(headerName.service, method.service);
  header.set(headerName.endpoint, endpoint);
  header.set(headerName.method, endpoint);
  header.set(headerName.id, id);
  header.set(headerName.contentType, callForm.contentType);
  header.set(headerName.accept, callForm.contentType);
  if (deadline !== Number.POSITIVE_INFINITY) {
    const nanoseconds = Math.max(1, Math.ceil(remainingMs(deadline) * 1e6));
    header.set(timeout, String(nanoseconds));
  }
  return header;
}

/** @throws MicroError `resource_exhausted`, `not-executed` */
function checkSize(metadata: Metadata | undefined): void {
  try {
    metadata?.encode();
  } catch (reason) {
    throw codecError(reason, "not-executed");
  }
}
