import { base64Decode } from "@bufbuild/protobuf/wire";
import type { Encoding } from "../encoding.ts";

/** A call whose message is in the URL of a GET. */
export interface GetCall {
  readonly path: string;
  readonly encoding: Encoding;
  readonly message: Uint8Array;
  /** Why the message is not read; undefined if it is. */
  readonly problem: string | undefined;
}

const encodings: ReadonlyMap<string | null, Encoding> = new Map([
  ["proto", "binary"],
  ["json", "json"],
]);
const encoder = new TextEncoder();
const noBytes = new Uint8Array(0);

const compressed =
  "messages of GET requests may not be compressed; send the message as it is, or POST it";
const notBase64 =
  "the parameter message is not base64, which base64=1 says it is; encode it, or leave base64 out";

/** Reads the call of a GET; undefined for any other GET. */
export function getCall(url: string): GetCall | undefined {
  const question = url.indexOf("?");
  if (question < 0) return undefined;
  const parameters = getParameters(url.slice(question));
  const encoding = encodings.get(parameters.get("encoding"));
  if (encoding === undefined) return undefined;
  const path = url.slice(0, question);
  const version = parameters.get("connect") ?? "v1";
  if (version !== "v1") return { path, encoding, message: noBytes, problem: otherVersion(version) };
  // Any page can make a browser send a GET, and a URL must not carry more than fits into it
  // uncompressed.
  if (isCompressed(parameters)) return { path, encoding, message: noBytes, problem: compressed };
  const message = messageOf(parameters);
  if (message === undefined) return { path, encoding, message: noBytes, problem: notBase64 };
  return { path, encoding, message, problem: undefined };
}

/**
 * Returns the parameters of a GET, parsed as Connect's own server parses them.
 *
 * @param query with its question mark
 */
function getParameters(query: string): URLSearchParams {
  return new URL(query, "http://localhost").searchParams;
}

function otherVersion(version: string): string {
  return `the request states version ${JSON.stringify(version.slice(0, 64))} of Connect, and this server knows v1`;
}

/** Whether the parameters name a coding of the message. */
function isCompressed(parameters: URLSearchParams): boolean {
  return parameters.getAll("compression").some((name) => name !== "" && name !== "identity");
}

/** The message in the parameters; undefined if it is not the base64 that it claims to be. */
function messageOf(parameters: URLSearchParams): Uint8Array | undefined {
  const text = parameters.get("message") ?? "";
  if (parameters.get("base64") !== "1") return encoder.encode(text);
  try {
    return base64Decode(text);
  } catch {
    return undefined;
  }
}
