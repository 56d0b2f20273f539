import type { HeaderList } from "../../http2/hpack/header-list.ts";
import { joinedValue, type ProtocolFields } from "../request-header.ts";

/** Reads the fields of a unary call. */
export function connectUnaryFields(list: HeaderList): ProtocolFields {
  return connectFields(list, "content-encoding", "accept-encoding");
}

/** Reads the fields of a stream. */
export function connectStreamFields(list: HeaderList): ProtocolFields {
  return connectFields(list, "connect-content-encoding", "connect-accept-encoding");
}

/** Why a call is not one of this version of Connect; undefined if it is, or states no version. */
export function otherVersion(list: HeaderList): string | undefined {
  const version = joinedValue(list, "connect-protocol-version");
  if (version === undefined || version === "1") return undefined;
  return `the request states version ${JSON.stringify(version.slice(0, 64))} of Connect, and this server knows version 1`;
}

function connectFields(list: HeaderList, codingName: string, acceptName: string): ProtocolFields {
  const timeout = joinedValue(list, "connect-timeout-ms");
  return {
    timeoutMs: timeout === undefined ? Number.POSITIVE_INFINITY : connectTimeoutMs(timeout),
    coding: joinedValue(list, codingName),
    accepted: joinedValue(list, acceptName),
    acceptName,
  };
}

/** Reads a timeout, in milliseconds; -1 if it is malformed. */
export function connectTimeoutMs(text: string): number {
  return /^\d{1,10}$/.test(text) ? Number(text) : -1;
}
