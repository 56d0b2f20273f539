import { asMicroError, isMicroError, type MicroError } from "../../base/error.ts";
import type { Credential } from "../../call/account.ts";
import { credentialFrom } from "../admission.ts";
import { type HeaderLine, metadataFrom } from "../http-headers.ts";
import type { HeaderField } from "../http2/hpack/header-field.ts";
import type { HeaderList } from "../http2/hpack/header-list.ts";

/** What the headers of requests have in common, whatever their protocol. */
export interface RequestHeader {
  /** Name of the method, such as `acme.greeter.v1.Greeter/Hello`. */
  readonly name: string;
  /** The host names that it uses for this server. */
  readonly hosts: readonly string[];
  /** The origin of the web page that sends it. */
  readonly origin: string | undefined;
  /** What a browser says of that page. */
  readonly fetchSite: string | undefined;
  /** The metadata in its encoded form; undefined if there is none. */
  readonly metadata: Uint8Array | undefined;
  /** Why the metadata cannot be read. */
  readonly metadataError: MicroError | undefined;
  /** The credential that it presents, or why that cannot be one. */
  readonly credential: Credential | MicroError | undefined;
  /** Whether its path is one of a method, and nothing is stated twice that may not be. */
  readonly isProper: boolean;
  /** Whether it has the line that only go-micro's gRPC client sends. */
  readonly isOfGoMicro: boolean;
  /** Whether its body is sent only after an interim response. */
  readonly expectsContinue: boolean;
}

/** What a header states in the words of one protocol. */
export interface ProtocolFields {
  /** In milliseconds; Infinity if there is none, -1 if it is malformed. */
  readonly timeoutMs: number;
  /** The coding of messages that are compressed. */
  readonly coding: string | undefined;
  /** The codings that the caller accepts, and the line that names them. */
  readonly accepted: string | undefined;
  readonly acceptName: string;
}

/**
 * Lines that decide how a request is handled. If one is repeated, a proxy may have used another
 * value than the one that counts here.
 */
const single: ReadonlySet<string> = new Set([
  "content-type",
  "host",
  "origin",
  "sec-fetch-site",
  "x-content-type",
]);

/** Returns the name of a line that is repeated and must not be. */
export function repeatedLine(lines: Iterable<HeaderLine>): string | undefined {
  const seen = new Set<string>();
  for (const [line] of lines) {
    const name = line.toLowerCase();
    if (!single.has(name)) continue;
    if (seen.has(name)) return name;
    seen.add(name);
  }
  return undefined;
}

/** Returns the values of a line, joined as HTTP joins those of a line that is repeated. */
export function joinedValue({ fields }: HeaderList, name: string): string | undefined {
  let joined: string | undefined;
  for (const field of fields) {
    if (field.name !== name) continue;
    joined = joined === undefined ? field.value : `${joined}, ${field.value}`;
  }
  return joined;
}

/** Reads what the headers of all protocols have in common. */
export function readRequestHeader(
  path: string,
  authority: string,
  fields: readonly HeaderField[],
): RequestHeader {
  const lines = fields.map(({ name, value }): HeaderLine => [name, value]);
  const values = new Map(lines);
  const { metadata, metadataError } = encodedMetadata(lines);
  const host = values.get("host");
  return {
    name: path.slice(1),
    isProper: isMethodPath(path) && repeatedLine(lines) === undefined,
    hosts: [...(authority === "" ? [] : [authority]), ...(host === undefined ? [] : [host])],
    origin: values.get("origin"),
    fetchSite: values.get("sec-fetch-site"),
    metadata,
    metadataError,
    credential: credentialIn(lines),
    isOfGoMicro: values.has("x-content-type"),
    expectsContinue: values.get("expect")?.toLowerCase() === "100-continue",
  };
}

/**
 * Whether a path is that of a method. A package name contains no hyphen, but in go-micro's paths a
 * service name may take its place.
 */
export function isMethodPath(path: string): boolean {
  return /^\/[\w.-]+\/\w+$/.test(path);
}

/** Returns the credential in the lines `authorization` of a header, or why it cannot be one. */
export function credentialIn(lines: Iterable<HeaderLine>): Credential | MicroError | undefined {
  const values: string[] = [];
  for (const [line, value] of lines) {
    if (line.toLowerCase() === "authorization") values.push(value);
  }
  try {
    return credentialFrom(values);
  } catch (reason) {
    return asMicroError(reason);
  }
}

function encodedMetadata(
  lines: readonly HeaderLine[],
): Pick<RequestHeader, "metadata" | "metadataError"> {
  try {
    const all = metadataFrom(lines);
    return { metadata: all.isEmpty ? undefined : all.encode(), metadataError: undefined };
  } catch (reason) {
    if (!isMicroError(reason)) throw reason;
    return { metadata: undefined, metadataError: reason };
  }
}
