import { remainingMs } from "../../deadline.ts";
import type { Outcome } from "../../error.ts";
import type { Metadata } from "../../metadata.ts";
import { type AnyMethod, endpointOf } from "../../method.ts";
import { codecError, messageTooLarge } from "../call-errors.ts";
import type { OutgoingCall } from "../transport.ts";
import type { CalledCalls } from "./called-call.ts";
import { headerName, type OutgoingHeader } from "./message.ts";
import { writeMetadata } from "./metadata-lines.ts";

/** The body of a request. @throws MicroError when it is no message of the method's, or over a limit. */
export function encodeRequest(
  { callForm, limits }: CalledCalls,
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
  // Bytes that are sent as they are may be changed by whoever gave them as soon as the call returns.
  return bytes === init ? new Uint8Array(bytes) : bytes;
}

/**
 * The header of a message to a server. `timeout` names the line for the time that is left.
 * @throws MicroError `resource_exhausted` for metadata that is too large.
 */
export function requestHeader(
  { callForm }: CalledCalls,
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
