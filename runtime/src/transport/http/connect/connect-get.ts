import { base64Decode } from "@bufbuild/protobuf/wire";
import type { Encoding } from "../message-adapter.ts";

/** A call whose message is in the URL of a GET. */
export interface GetCall {
  readonly path: string;
  readonly encoding: Encoding;
  readonly message: Uint8Array;
}

const encodings: ReadonlyMap<string | null, Encoding> = new Map([
  ["proto", "binary"],
  ["json", "json"],
]);
const encoder = new TextEncoder();

/** Reads the call of a GET; undefined for any other GET, and if its message may not be read. */
export function getCall(url: string): GetCall | undefined {
  const question = url.indexOf("?");
  if (question < 0) return undefined;
  const parameters = getParameters(url.slice(question));
  const encoding = encodings.get(parameters.get("encoding"));
  const message = isCompressed(parameters) ? undefined : messageOf(parameters);
  if (encoding === undefined || message === undefined) return undefined;
  return { path: url.slice(0, question), encoding, message };
}

/**
 * Returns the parameters of a GET. They are parsed as Connect parses them, so that a
 * percent-encoded name or value, or a fragment, does not mean one thing to a check here and another
 * to Connect.
 *
 * @param query with its question mark
 */
export function getParameters(query: string): URLSearchParams {
  return new URL(query, "http://localhost").searchParams;
}

/** Whether the parameters name a coding of the message. */
export function isCompressed(parameters: URLSearchParams): boolean {
  return parameters.getAll("compression").some((name) => name !== "" && name !== "identity");
}

/** The message in the parameters; undefined if it is not the base64 that it claims to be. */
export function messageOf(parameters: URLSearchParams): Uint8Array | undefined {
  const text = parameters.get("message") ?? "";
  if (parameters.get("base64") !== "1") return encoder.encode(text);
  try {
    return base64Decode(text);
  } catch {
    return undefined;
  }
}
