import type { HeaderList } from "../../http2/hpack/header-list.ts";
import type { MessageHead } from "../../http2/message-head.ts";
import { compressionFor } from "../compression/algorithms.ts";
import { canInflate } from "../compression/inflation.ts";
import { type RequestHeader, readRequestHeader } from "../request-header.ts";

/** The header of a gRPC call. */
export interface GrpcRequest extends RequestHeader {
  /** The encoding of requests that are compressed; undefined if none is. */
  readonly encoding: string | undefined;
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
  const read = readRequest(head, list);
  list.note = read;
  return read;
}

function readRequest(head: MessageHead, list: HeaderList): GrpcRequest {
  const common = readRequestHeader(head, list.fields.slice(head.firstField));
  const timeout = list.get("grpc-timeout");
  const timeoutMs = timeout === undefined ? Number.POSITIVE_INFINITY : timeoutOf(timeout);
  const encoding = list.get("grpc-encoding")?.toLowerCase();
  const isCompressed = encoding !== undefined && encoding !== "identity";
  return {
    ...common,
    isPlain: common.isPlain && timeoutMs >= 0 && (!isCompressed || canInflate(encoding)),
    timeoutMs,
    encoding: isCompressed ? encoding : undefined,
    // A caller that compresses requests accepts responses that are compressed alike.
    compression: compressionFor(
      list.get("grpc-accept-encoding")?.toLowerCase() ?? (isCompressed ? encoding : undefined),
    ),
  };
}

/** Returns -1 for a timeout that is malformed. */
function timeoutOf(text: string): number {
  const [, count, unit] = /^(\d{1,8})([HMSmun])$/.exec(text) ?? [];
  return unit === undefined ? -1 : Number(count) * unitMs[unit]!;
}
