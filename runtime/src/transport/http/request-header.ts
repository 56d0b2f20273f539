import type { Compression } from "@connectrpc/connect/protocol";
import { isMicroError } from "../../base/error.ts";
import { type HeaderLine, metadataFrom } from "../http-headers.ts";
import type { HeaderField } from "../http2/hpack/header-field.ts";
import type { MessageHead } from "../http2/message-head.ts";
import type { CallHeader } from "./http2-call.ts";

/** The header of a call over HTTP/2, in any protocol. */
export interface RequestHeader extends CallHeader {
  /** Name of the method, such as `acme.greeter.v1.Greeter/Hello`. */
  readonly name: string;
  /** The host names that it uses for this server. */
  readonly hosts: readonly string[];
  /** How responses may be compressed, if the caller accepts that. */
  readonly compression: Compression | undefined;
  /** Whether the listener accepts it as it is; undefined until that was asked. */
  isAccepted: boolean | undefined;
  /**
   * Whether nothing about the header needs more than a call does: no browser, no go-micro, and
   * nothing that is stated twice.
   */
  readonly isPlain: boolean;
}

/** Fields with which a request needs more than a plain call. */
const special: ReadonlySet<string> = new Set([
  "expect",
  "origin",
  "sec-fetch-site",
  "x-content-type",
]);

/** Fields that may not be repeated, because a proxy may have used another value than this side. */
const single: ReadonlySet<string> = new Set([
  "connect-protocol-version",
  "connect-timeout-ms",
  "content-encoding",
  "content-type",
  "grpc-accept-encoding",
  "grpc-encoding",
  "grpc-timeout",
  "host",
]);

/** Reads what the headers of all protocols have in common. */
export function readRequestHeader(
  { path, authority }: MessageHead,
  fields: readonly HeaderField[],
): Omit<RequestHeader, "compression" | "timeoutMs"> {
  let isPlain = /^\/[\w.-]+\/\w+$/.test(path);
  const hosts = authority === "" ? [] : [authority];
  const seen: string[] = [];
  for (const { name, value } of fields) {
    if (name === "host") hosts.push(value);
    if (special.has(name)) isPlain = false;
    if (!single.has(name)) continue;
    isPlain &&= !seen.includes(name);
    seen.push(name);
  }
  let metadata: Uint8Array | undefined;
  try {
    const all = metadataFrom(fields.map(({ name, value }): HeaderLine => [name, value]));
    if (!all.isEmpty) metadata = all.encode();
  } catch (reason) {
    if (!isMicroError(reason)) throw reason;
    isPlain = false;
  }
  return { name: path.slice(1), isPlain, hosts, metadata, isAccepted: undefined };
}
