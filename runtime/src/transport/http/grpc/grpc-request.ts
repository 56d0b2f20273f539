import { isMicroError } from "../../../base/error.ts";
import { type HeaderLine, metadataFrom } from "../../http-headers.ts";
import type { HeaderField } from "../../http2/hpack/header-field.ts";
import type { HeaderList } from "../../http2/hpack/header-list.ts";
import type { MessageHead } from "../../http2/message-head.ts";
import { canInflate } from "../compression/inflation.ts";

/** The header of a gRPC call. */
export interface GrpcRequest {
  /** Name of the method, such as `acme.greeter.v1.Greeter/Hello`. */
  readonly name: string;
  /** The timeout that the caller states, in milliseconds; Infinity if there is none. */
  readonly timeoutMs: number;
  /**
   * Whether nothing about the header needs more than a gRPC call does: no encoding that is unknown,
   * no browser, no go-micro, and nothing that is stated twice.
   */
  readonly isPlain: boolean;
  /** The host names that it uses for this server. */
  readonly hosts: readonly string[];
  /** The encoding of requests that are compressed; undefined if none is. */
  readonly encoding: string | undefined;
  /** The encodings in which responses are accepted, as listed. */
  readonly accepted: string | undefined;
  /** The metadata in its encoded form; undefined if there is none. */
  readonly metadata: Uint8Array | undefined;
}

const unitMs: Readonly<Record<string, number>> = {
  H: 3_600_000,
  M: 60_000,
  S: 1_000,
  m: 1,
  u: 1e-3,
  n: 1e-6,
};

/** Whether a request is a gRPC call with messages in protobuf's binary format. */
export function isGrpc({ method }: MessageHead, list: HeaderList): boolean {
  if (method !== "POST") return false;
  const type = list.get("content-type");
  return type === "application/grpc" || type === "application/grpc+proto";
}

/** Reads the header of a gRPC call. A list that repeats is read once. */
export function grpcRequest(head: MessageHead, list: HeaderList): GrpcRequest {
  const known = list.note as GrpcRequest | undefined;
  if (known !== undefined) return known;
  const read = readRequest(head, list.fields.slice(head.firstField));
  list.note = read;
  return read;
}

/** Fields that make a call one for Connect to handle. */
const special: ReadonlySet<string> = new Set([
  "expect",
  "origin",
  "sec-fetch-site",
  "x-content-type",
]);

/** Fields that may not be repeated, because a proxy may have used another value than this side. */
const single: ReadonlySet<string> = new Set([
  "content-type",
  "grpc-accept-encoding",
  "grpc-encoding",
  "host",
]);

function readRequest(
  { path, authority }: MessageHead,
  fields: readonly HeaderField[],
): GrpcRequest {
  let timeoutMs = Number.POSITIVE_INFINITY;
  let accepted: string | undefined;
  let encoding: string | undefined;
  let isPlain = /^\/[\w.-]+\/\w+$/.test(path);
  const hosts = authority === "" ? [] : [authority];
  const seen: string[] = [];
  for (const { name, value } of fields) {
    if (name === "grpc-timeout") {
      timeoutMs = timeoutOf(value);
      isPlain &&= timeoutMs >= 0;
    } else if (name === "grpc-accept-encoding") accepted = value.toLowerCase();
    else if (name === "host") hosts.push(value);
    else if (name === "grpc-encoding" && value !== "identity") {
      encoding = value.toLowerCase();
      isPlain &&= canInflate(encoding);
    }
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
  return { name: path.slice(1), timeoutMs, isPlain, hosts, encoding, accepted, metadata };
}

/** Returns -1 for a timeout that is malformed. */
function timeoutOf(text: string): number {
  const [, count, unit] = /^(\d{1,8})([HMSmun])$/.exec(text) ?? [];
  return unit === undefined ? -1 : Number(count) * unitMs[unit]!;
}
