import type { HeaderList } from "../../http2/hpack/header-list.ts";
import { joinedValue, type ProtocolFields } from "../request-header.ts";

const unitMs: Readonly<Record<string, number>> = {
  H: 3_600_000,
  M: 60_000,
  S: 1_000,
  m: 1,
  u: 1e-3,
  n: 1e-6,
};

/** Reads the fields of gRPC and gRPC-Web. */
export function grpcFields(list: HeaderList): ProtocolFields {
  const timeout = joinedValue(list, "grpc-timeout");
  const acceptName = "grpc-accept-encoding";
  return {
    timeoutMs: timeout === undefined ? Number.POSITIVE_INFINITY : timeoutOf(timeout),
    coding: joinedValue(list, "grpc-encoding"),
    accepted: joinedValue(list, acceptName),
    acceptName,
  };
}

/** Returns -1 for a timeout that is malformed. */
function timeoutOf(text: string): number {
  const [, count, unit] = /^(\d{1,8})([HMSmun])$/.exec(text) ?? [];
  return unit === undefined ? -1 : Number(count) * unitMs[unit]!;
}
