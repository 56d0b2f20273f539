import type { HeaderList } from "../../http2/hpack/header-list.ts";
import type { MessageHead } from "../../http2/message-head.ts";
import { compressionFor } from "../compression/algorithms.ts";
import type { Encoding } from "../message-adapter.ts";
import { type RequestHeader, readRequestHeader } from "../request-header.ts";

/** The header of a unary Connect call. */
export interface ConnectRequest extends RequestHeader {
  /** Of the request and its response. */
  readonly encoding: Encoding;
}

const encodings: ReadonlyMap<string | undefined, Encoding> = new Map([
  ["application/proto", "binary"],
  ["application/json", "json"],
]);

/** Whether a request is a unary Connect call whose message is in its body, uncompressed. */
export function isConnectUnary({ method }: MessageHead, list: HeaderList): boolean {
  if (method !== "POST" || !encodings.has(list.get("content-type"))) return false;
  const coding = list.get("content-encoding");
  return coding === undefined || coding === "identity";
}

/** Reads the header of a unary Connect call. A list that repeats is read once. */
export function connectRequest(head: MessageHead, list: HeaderList): ConnectRequest {
  const known = list.note as ConnectRequest | undefined;
  if (known !== undefined) return known;
  const common = readRequestHeader(head, list.fields.slice(head.firstField));
  const version = list.get("connect-protocol-version");
  const timeout = list.get("connect-timeout-ms");
  const read: ConnectRequest = {
    ...common,
    isPlain:
      common.isPlain &&
      (version === undefined || version === "1") &&
      (timeout === undefined || /^\d{1,10}$/.test(timeout)),
    timeoutMs: timeout === undefined ? Number.POSITIVE_INFINITY : Number(timeout),
    encoding: encodings.get(list.get("content-type"))!,
    compression: compressionFor(list.get("accept-encoding")?.toLowerCase()),
  };
  list.note = read;
  return read;
}
