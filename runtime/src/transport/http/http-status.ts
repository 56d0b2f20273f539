import { Code as ConnectCode, ConnectError } from "@connectrpc/connect";
import {
  codeFromNumber,
  codeToNumber,
  type ErrorDetail,
  MicroError,
  type Outcome,
} from "../../error.ts";
import { outcomeKey, pushbackKey } from "./http-metadata.ts";

/** An error as Connect sends it, with outcome and push-back as metadata. */
export function toConnectError(error: MicroError): ConnectError {
  const metadata: Record<string, string> = {};
  if (error.outcome !== "unknown") metadata[outcomeKey] = error.outcome;
  const { retryAfterMs } = error;
  if (retryAfterMs !== undefined && retryAfterMs > 0) {
    metadata[pushbackKey] = String(Math.ceil(retryAfterMs));
  }
  const made = new ConnectError(
    wellFormed(error.message),
    codeToNumber(error.code) as ConnectCode,
    metadata,
  );
  made.details = error.details
    .filter((detail) => detail.value instanceof Uint8Array)
    .map((detail) => ({ type: detail.typeName, value: detail.value }));
  return made;
}

/** An error that came with an answer. Without word of a Micro-ES server, its outcome is unknown. */
export function fromConnectError(error: ConnectError): MicroError {
  const outcome = error.metadata.get(outcomeKey);
  const pushback = Number(error.metadata.get(pushbackKey) ?? Number.NaN);
  const details: ErrorDetail[] = [];
  for (const detail of error.details) {
    if ("type" in detail) details.push({ typeName: detail.type, value: detail.value });
  }
  return new MicroError(codeFromNumber(error.code), error.rawMessage, {
    outcome: isOutcome(outcome) ? outcome : "unknown",
    details,
    ...(pushback > 0 && { retryAfterMs: pushback }),
  });
}

/** Whether Connect made this error of a deadline that passed. */
export function isDeadline(reason: unknown): boolean {
  return reason instanceof ConnectError && reason.code === ConnectCode.DeadlineExceeded;
}

function isOutcome(text: string | null): text is Outcome {
  return text === "unknown" || text === "not-executed" || text === "executed";
}

/** Connect percent-encodes the text, which fails on half a surrogate pair. */
function wellFormed(text: string): string {
  return text.replace(
    /[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g,
    "\ufffd",
  );
}
