import { type Code as ConnectCode, ConnectError } from "@connectrpc/connect";
import { codeToNumber, type MicroError } from "../../base/error.ts";
import { wellFormedText } from "../../transport/http/well-formed-text.ts";
import { outcomeKey, pushbackKey } from "../../transport/http-headers.ts";

/** Converts an error to the one that Connect sends, with outcome and push-back as metadata. */
export function toConnectError(error: MicroError): ConnectError {
  const metadata: Record<string, string> = {};
  if (error.outcome !== "unknown") metadata[outcomeKey] = error.outcome;
  const { retryAfterMs } = error;
  if (retryAfterMs !== undefined && retryAfterMs > 0) {
    metadata[pushbackKey] = String(Math.ceil(retryAfterMs));
  }
  const made = new ConnectError(
    wellFormedText(error.message),
    codeToNumber(error.code) as ConnectCode,
    metadata,
  );
  made.details = error.details
    .filter((detail) => detail.value instanceof Uint8Array)
    .map((detail) => ({ type: detail.typeName, value: detail.value }));
  return made;
}

/**
 * As {@link toConnectError}, for a message that this side cannot read. The local caller gets its
 * cause.
 */
export function causedBy(error: MicroError): ConnectError {
  const made = toConnectError(error);
  made.cause = error;
  return made;
}
