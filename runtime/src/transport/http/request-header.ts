import { isMicroError } from "../../base/error.ts";
import { type HeaderLine, metadataFrom } from "../http-headers.ts";
import type { HeaderField } from "../http2/hpack/header-field.ts";
import type { MessageHead } from "../http2/message-head.ts";

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
  /**
   * Whether nothing about the header needs more than a call does: no go-micro, and nothing that is
   * stated twice.
   */
  readonly isPlain: boolean;
}

/** What a header states in the words of one protocol. */
export interface ProtocolFields {
  /** In milliseconds; Infinity if there is none, -1 if it is malformed. */
  readonly timeoutMs: number;
  /** The coding of messages that are compressed. */
  readonly coding: string | undefined;
  /** The codings that the caller accepts. */
  readonly accepted: string | undefined;
  /** Whether the version of the protocol is known. */
  readonly isKnownVersion: boolean;
}

/** Fields with which a request needs more than a plain call. */
const special: ReadonlySet<string> = new Set(["expect", "x-content-type"]);

/** Fields that may not be repeated, because a proxy may have used another value than this side. */
const single: ReadonlySet<string> = new Set([
  "connect-accept-encoding",
  "connect-content-encoding",
  "connect-protocol-version",
  "connect-timeout-ms",
  "content-encoding",
  "content-type",
  "grpc-accept-encoding",
  "grpc-encoding",
  "grpc-timeout",
  "host",
  "origin",
  "sec-fetch-site",
]);

/** Reads what the headers of all protocols have in common. */
export function readRequestHeader(
  { path, authority }: MessageHead,
  fields: readonly HeaderField[],
): RequestHeader {
  let isPlain = /^\/[\w.-]+\/\w+$/.test(path);
  const hosts = authority === "" ? [] : [authority];
  const seen = new Map<string, string>();
  for (const { name, value } of fields) {
    if (name === "host") hosts.push(value);
    if (special.has(name)) isPlain = false;
    if (!single.has(name)) continue;
    isPlain &&= !seen.has(name);
    seen.set(name, value);
  }
  let metadata: Uint8Array | undefined;
  try {
    const all = metadataFrom(fields.map(({ name, value }): HeaderLine => [name, value]));
    if (!all.isEmpty) metadata = all.encode();
  } catch (reason) {
    if (!isMicroError(reason)) throw reason;
    isPlain = false;
  }
  return {
    name: path.slice(1),
    isPlain,
    hosts,
    origin: seen.get("origin"),
    fetchSite: seen.get("sec-fetch-site"),
    metadata,
  };
}
