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

function connectFields(list: HeaderList, codingName: string, acceptName: string): ProtocolFields {
  return {
    timeoutMs: timeoutOf(joinedValue(list, "connect-timeout-ms")),
    coding: joinedValue(list, codingName),
    accepted: joinedValue(list, acceptName),
    acceptName,
  };
}

/** Returns -1 for a timeout that is malformed. */
function timeoutOf(text: string | undefined): number {
  if (text === undefined) return Number.POSITIVE_INFINITY;
  return /^\d{1,10}$/.test(text) ? Number(text) : -1;
}
