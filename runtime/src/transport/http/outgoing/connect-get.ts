import { HeaderField } from "../../http2/hpack/header-field.ts";
import type { OutgoingCall } from "../../transport.ts";
import { callFields, namesAgent, type OutgoingMethod } from "./outgoing-methods.ts";

/** Returns the header of a call by GET, whose request is in its path. */
export function getFields(
  called: OutgoingMethod,
  outgoing: OutgoingCall,
  request: Uint8Array,
): readonly HeaderField[] {
  const { protocol, pseudoFields } = called;
  const fields = pseudoFields.map((field) => {
    if (field.name === ":method") return new HeaderField(":method", "GET");
    if (field.name !== ":path") return field;
    // Hardly any request is sent again, so that a table would be filled in vain.
    return new HeaderField(":path", `${field.value}?${query(called, request)}`, true);
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
