import { Buffer } from "node:buffer";
import { MicroError } from "@micro-es/runtime";
import {
  checkJsonElements,
  type GoMicroMessage,
  type OutgoingHeader,
} from "@micro-es/runtime/driver";

/**
 * A message in go-micro's format on NATS: its `transport.Message` as JSON, with the body in base64.
 */
export function encodeSubjectMessage(header: OutgoingHeader, body: Uint8Array): Uint8Array {
  const base64 = Buffer.from(body.buffer, body.byteOffset, body.length).toString("base64");
  return Buffer.from(JSON.stringify({ Header: Object.fromEntries(header), Body: base64 }));
}

/**
 * @throws MicroError `invalid_argument` for a malformed message, `resource_exhausted` for one over
 * the limit.
 */
export function decodeSubjectMessage(data: Uint8Array, maxBodyBytes: number): GoMicroMessage {
  // The header may be as large as over HTTP, and the body grows by a third.
  if (data.length > Math.ceil(maxBodyBytes / 3) * 4 + maxHeaderBytes) throw tooLarge(maxBodyBytes);
  checkJsonElements(data, maxValues, "a go-micro message");
  let found: unknown;
  try {
    found = JSON.parse(Buffer.from(data.buffer, data.byteOffset, data.length).toString());
  } catch (cause) {
    throw malformed("it is not JSON", cause);
  }
  const header = new Map<string, string>();
  const lines = member(found, "header") ?? {};
  if (typeof lines !== "object" || Array.isArray(lines))
    throw malformed("its header is not an object");
  for (const [name, value] of Object.entries(lines as object)) {
    if (typeof value !== "string") throw malformed("a line of its header is not text");
    header.set(name.toLowerCase(), value);
  }
  const base64 = member(found, "body") ?? "";
  if (typeof base64 !== "string") throw malformed("its body is not text");
  const body = new Uint8Array(Buffer.from(base64, "base64"));
  if (body.length > maxBodyBytes) throw tooLarge(maxBodyBytes);
  return { header, body };
}

const maxHeaderBytes = 32 * 1024;
/**
 * Maximum number of header names and lines, in either of which a comma counts as well; real
 * messages have fewer than 40 lines.
 */
const maxValues = 1_024;

/** Go's decoder accepts member names in any case. */
function member(object: unknown, name: string): unknown {
  if (typeof object !== "object" || object === null) throw malformed("it is not an object");
  const key = Object.keys(object).find((each) => each.toLowerCase() === name);
  return key === undefined ? undefined : (object as Record<string, unknown>)[key];
}

function malformed(why: string, cause?: unknown): MicroError {
  return new MicroError("invalid_argument", `not a go-micro message: ${why}`, {
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
