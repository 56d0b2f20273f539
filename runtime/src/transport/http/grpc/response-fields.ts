import { type Code, isMicroError, MicroError } from "../../../base/error.ts";
import { Metadata } from "../../../base/metadata.ts";
import { type HeaderLine, metadataFrom } from "../../http-headers.ts";
import type { HeaderList } from "../../http2/hpack/header-list.ts";
import { canInflate } from "../compression/inflation.ts";
import { errorWith, statusError } from "./response-status.ts";

/** Content types of gRPC, as Connect's client accepts them. */
const grpcType = /^application\/grpc(?:\+(?:json(?:; ?charset=utf-?8)?|proto))?$/i;

/** What the header or the trailers of a response say. */
export interface ResponseFields {
  /** Whether there is a status. */
  readonly hasStatus: boolean;
  /** Creates the error of a status other than success, of which the header may say more. */
  readonly failure: ((head: readonly HeaderLine[]) => MicroError) | undefined;
  /** All lines but the pseudo-header fields. */
  readonly lines: readonly HeaderLine[];
  /** The content type; empty if there is none. */
  readonly contentType: string;
  /** How messages are compressed, if some may be. */
  readonly encoding: string | undefined;
  /** A copy of its own is for each response. Undefined if there is none. */
  readonly metadata: Metadata | undefined;
  /** Why the metadata cannot be read. */
  readonly metadataError: MicroError | undefined;
}

/** Reads the header or the trailers of a response. A list that repeats is read once. */
export function responseFields(list: HeaderList): ResponseFields {
  const known = list.note as ResponseFields | undefined;
  if (known !== undefined) return known;
  const read = readFields(list);
  list.note = read;
  return read;
}

/** Returns metadata for one response. */
export function metadataOf({ metadata }: ResponseFields): Metadata | undefined {
  return metadata === undefined ? undefined : new Metadata(metadata);
}

/**
 * Returns the error of a header that no gRPC response has; undefined if it is one of gRPC.
 *
 * @param status of HTTP
 */
export function headerError(fields: ResponseFields, status: number): MicroError | undefined {
  const { contentType, encoding, lines } = fields;
  if (status !== 200) return errorWith(codeOfHttp(status), `HTTP ${status}`, lines);
  if (!grpcType.test(contentType)) {
    const type = contentType === "" ? "none" : contentType.slice(0, 96);
    return new MicroError("unknown", `unsupported content type of a response: ${type}`);
  }
  if (encoding === undefined || canInflate(encoding)) return undefined;
  const name = JSON.stringify(encoding.slice(0, 32));
  return new MicroError("internal", `unsupported encoding of a response: ${name}`);
}

function readFields(list: HeaderList): ResponseFields {
  const lines: HeaderLine[] = [];
  let contentType = "";
  let encoding: string | undefined;
  let hasStatus = false;
  for (const { name, value } of list.fields) {
    if (name.startsWith(":")) continue;
    lines.push([name, value]);
    if (name === "grpc-status") hasStatus = true;
    else if (name === "content-type") contentType = value;
    else if (name === "grpc-encoding" && value.toLowerCase() !== "identity") {
      encoding = value.toLowerCase();
    }
  }
  let metadata: Metadata | undefined;
  let metadataError: MicroError | undefined;
  try {
    const all = metadataFrom(lines);
    if (!all.isEmpty) metadata = all;
  } catch (reason) {
    if (!isMicroError(reason)) throw reason;
    metadataError = reason;
  }
  const failure = hasStatus ? statusError(lines) : undefined;
  return { hasStatus, failure, lines, contentType, encoding, metadata, metadataError };
}

/** The mapping that gRPC defines for responses of proxies. */
function codeOfHttp(status: number): Code {
  switch (status) {
    case 400:
      return "internal";
    case 401:
      return "unauthenticated";
    case 403:
      return "permission_denied";
    case 404:
      return "unimplemented";
    case 429:
    case 502:
    case 503:
    case 504:
      return "unavailable";
    default:
      return "unknown";
  }
}
