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
    timeoutMs: timeout === undefined ? Number.POSITIVE_INFINITY : grpcTimeoutMs(timeout),
    coding: joinedValue(list, "grpc-encoding"),
    accepted: joinedValue(list, acceptName),
    acceptName,
  };
}

/** Reads a timeout, in milliseconds; -1 if it is malformed. */
export function grpcTimeoutMs(text: string): number {
  const [, count, unit] = /^(\d{1,8})([HMSmun])$/.exec(text) ?? [];
  return unit === undefined ? -1 : Number(count) * unitMs[unit]!;
}
