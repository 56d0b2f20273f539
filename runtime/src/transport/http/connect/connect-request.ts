import type { HeaderList } from "../../http2/hpack/header-list.ts";
import type { ProtocolFields } from "../request-header.ts";

/** Reads the fields of a unary call. */
export function connectUnaryFields(list: HeaderList): ProtocolFields {
  return connectFields(list, list.get("content-encoding"), list.get("accept-encoding"));
}

/** Reads the fields of a stream. */
export function connectStreamFields(list: HeaderList): ProtocolFields {
  return connectFields(
    list,
    list.get("connect-content-encoding"),
    list.get("connect-accept-encoding"),
  );
}

function connectFields(
  list: HeaderList,
  coding: string | undefined,
  accepted: string | undefined,
): ProtocolFields {
  const version = list.get("connect-protocol-version");
  return {
    timeoutMs: timeoutOf(list.get("connect-timeout-ms")),
    coding,
    accepted,
    isKnownVersion: version === undefined || version === "1",
  };
}

/** Returns -1 for a timeout that is malformed. */
function timeoutOf(text: string | undefined): number {
  if (text === undefined) return Number.POSITIVE_INFINITY;
  return /^\d{1,10}$/.test(text) ? Number(text) : -1;
}
