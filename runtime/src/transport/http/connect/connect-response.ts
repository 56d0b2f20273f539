import type { Code, MicroError } from "../../../base/error.ts";
import type { Metadata } from "../../../base/metadata.ts";
import { errorLines, headerLines } from "../../http-headers.ts";
import { HeaderField } from "../../http2/hpack/header-field.ts";
import { HeaderTemplate } from "../../http2/hpack/header-template.ts";
import type { Encoding } from "../encoding.ts";
import { wellFormedText } from "../well-formed-text.ts";

/** The HTTP status of each error (the Connect protocol, "Error Codes"). */
const httpStatus: Readonly<Record<Code, number>> = {
  canceled: 499,
  unknown: 500,
  invalid_argument: 400,
  deadline_exceeded: 504,
  not_found: 404,
  already_exists: 409,
  permission_denied: 403,
  resource_exhausted: 429,
  failed_precondition: 400,
  aborted: 409,
  out_of_range: 400,
  unimplemented: 501,
  internal: 500,
  unavailable: 503,
  data_loss: 500,
  unauthenticated: 401,
};

/** Returns the HTTP status of an error. */
export function statusOf(code: Code): number {
  return httpStatus[code];
}

const responseHeads: Readonly<Record<Encoding, HeaderTemplate>> = {
  binary: successHead("application/proto"),
  json: successHead("application/json"),
};

function successHead(contentType: string): HeaderTemplate {
  return new HeaderTemplate([
    new HeaderField(":status", "200"),
    new HeaderField("content-type", contentType),
  ]);
}

/** The header of every response that is not an error. */
export function connectHead(encoding: Encoding): HeaderTemplate {
  return responseHeads[encoding];
}

/** The fields of a response's header: its metadata, and its trailers, which have a prefix. */
export function connectFields(
  metadata: Metadata | undefined,
  trailers: Metadata | undefined,
): HeaderField[] {
  const fields: HeaderField[] = [];
  if (metadata !== undefined) {
    for (const [name, value] of headerLines(metadata)) {
      fields.push(new HeaderField(name, value.trim()));
    }
  }
  if (trailers !== undefined) {
    for (const [name, value] of headerLines(trailers)) {
      fields.push(new HeaderField(`trailer-${name}`, value.trim()));
    }
  }
  return fields;
}

/**
 * The header of an error, without metadata.
 *
 * @param isServed whether there is such a method; Connect has no status of its own for others
 */
export function errorHead(error: MicroError, isServed: boolean): HeaderField[] {
  const isMissing = !isServed && error.code === "unimplemented";
  const status = isMissing ? 404 : httpStatus[error.code];
  const fields = [
    new HeaderField(":status", String(status)),
    new HeaderField("content-type", "application/json"),
  ];
  for (const [name, value] of errorLines(error)) fields.push(new HeaderField(name, value));
  return fields;
}

/** An error as JSON. */
export function errorJson({ code, message, details }: MicroError): object {
  return {
    code,
    ...(message !== "" && { message: wellFormedText(message) }),
    ...(details.length > 0 && {
      details: details.map(({ typeName, value }) => ({
        type: typeName,
        value: Buffer.from(value).toString("base64").replace(/=+$/, ""),
      })),
    }),
  };
}
