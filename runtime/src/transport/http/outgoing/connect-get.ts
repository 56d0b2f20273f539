import { HeaderField } from "../../http2/hpack/header-field.ts";
import type { OutgoingCall } from "../../transport.ts";
import { callFields, namesAgent, type OutgoingMethod } from "./outgoing-methods.ts";

/**
 * The longest path of a call by GET, with the request in it, in bytes. RFC 9110 recommends that
 * everybody supports URIs of 8,000 bytes; many proxies refuse a line of more than 8 KiB.
 */
export const maxGetPathBytes = 8_000;

/**
 * Returns the path of a call by GET, with its request; undefined if it would be longer than
 * {@link maxGetPathBytes}.
 */
export function getPath(called: OutgoingMethod, request: Uint8Array): string | undefined {
  // Encoding makes no request shorter.
  if (request.length > maxGetPathBytes) return undefined;
  const { value } = called.pseudoFields.find(({ name }) => name === ":path")!;
  const path = `${value}?${query(called, request)}`;
  return path.length > maxGetPathBytes ? undefined : path;
}

/** Returns the header of a call by GET. */
export function getFields(
  called: OutgoingMethod,
  outgoing: OutgoingCall,
  path: string,
): readonly HeaderField[] {
  const { protocol, pseudoFields } = called;
  const fields = pseudoFields.map((field) => {
    if (field.name === ":method") return new HeaderField(":method", "GET");
    if (field.name !== ":path") return field;
    // Hardly any request is sent again, so that a table would be filled in vain.
    return new HeaderField(":path", path, true);
  });
  if (!namesAgent(outgoing)) fields.push(...protocol.agentFields);
  fields.push(...callFields(protocol, outgoing));
  return fields;
}

/** The parameters are in the order of Connect's specification. */
function query({ isJson }: OutgoingMethod, request: Uint8Array): string {
  const bytes = Buffer.from(request.buffer, request.byteOffset, request.length);
  return isJson
    ? `connect=v1&encoding=json&message=${encodeURIComponent(bytes.toString())}`
    : `connect=v1&base64=1&encoding=proto&message=${bytes.toString("base64url")}`;
}
