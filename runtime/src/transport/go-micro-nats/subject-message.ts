import { Buffer } from "node:buffer";
import { MicroError } from "../../error.ts";
import type { GoMicroMessage, OutgoingHeader } from "../go-micro/message.ts";

/** A message as go-micro has it on NATS: JSON of its `transport.Message`, with the body in base64. */
export function encodeSubjectMessage(header: OutgoingHeader, body: Uint8Array): Uint8Array {
  const base64 = Buffer.from(body.buffer, body.byteOffset, body.length).toString("base64");
  return Buffer.from(JSON.stringify({ Header: Object.fromEntries(header), Body: base64 }));
}

/** @throws MicroError `invalid_argument` for what is no such message, `resource_exhausted` for one over the limit. */
export function decodeSubjectMessage(data: Uint8Array, maxBodyBytes: number): GoMicroMessage {
  // The header may be as large as over HTTP, and the body grows by a third.
  if (data.length > Math.ceil(maxBodyBytes / 3) * 4 + maxHeaderBytes) throw tooLarge(maxBodyBytes);
  let found: unknown;
  try {
    found = JSON.parse(Buffer.from(data.buffer, data.byteOffset, data.length).toString());
  } catch (cause) {
    throw malformed("it is not JSON", cause);
  }
  const header = new Map<string, string>();
  const lines = member(found, "header") ?? {};
  if (typeof lines !== "object" || Array.isArray(lines)) throw malformed("its header is no object");
  for (const [name, value] of Object.entries(lines as object)) {
    if (typeof value !== "string") throw malformed("a line of its header is no text");
    header.set(name.toLowerCase(), value);
  }
  const base64 = member(found, "body") ?? "";
  if (typeof base64 !== "string") throw malformed("its body is no text");
  const body = new Uint8Array(Buffer.from(base64, "base64"));
  if (body.length > maxBodyBytes) throw tooLarge(maxBodyBytes);
  return { header, body };
}

const maxHeaderBytes = 32 * 1024;

/** Go's decoder takes the names of members in any case. */
function member(object: unknown, name: string): unknown {
  if (typeof object !== "object" || object === null) throw malformed("it is no object");
  const key = Object.keys(object).find((each) => each.toLowerCase() === name);
  return key === undefined ? undefined : (object as Record<string, unknown>)[key];
}

function malformed(why: string, cause?: unknown): MicroError {
  return new MicroError("invalid_argument", `no message of go-micro's: ${why}`, {
    outcome: "not-executed",
    cause,
  });
}

function tooLarge(limit: number): MicroError {
  return new MicroError(
    "resource_exhausted",
    `a message is over the limit of ${limit} bytes; send less, or raise maxMessageBytes`,
    { outcome: "not-executed" },
  );
}
