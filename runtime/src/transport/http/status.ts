import { type Code as ConnectCode, ConnectError } from "@connectrpc/connect";
import {
  codeFromNumber,
  codeToNumber,
  type ErrorDetail,
  MicroError,
  type Outcome,
} from "../../base/error.ts";
import { parseErrorText } from "../go-micro-error.ts";
import { outcomeKey, pushbackKey } from "../http-headers.ts";
import { goMicroErrorType } from "./go-micro-detail.ts";
import { wellFormedText } from "./well-formed-text.ts";

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

/**
 * Converts an error that came with a response. Unless a Micro-ES server states the outcome, it is
 * unknown.
 */
export function fromConnectError(error: ConnectError): MicroError {
  const outcome = error.metadata.get(outcomeKey);
  const pushback = Number(error.metadata.get(pushbackKey) ?? Number.NaN);
  const details: ErrorDetail[] = [];
  let code = codeFromNumber(error.code);
  let text = error.rawMessage;
  for (const detail of error.details) {
    if (!("type" in detail)) continue;
    if (detail.type === goMicroErrorType) {
      const said = parseErrorText(text);
      text = said.text;
      // gRPC has no number for some of go-micro's codes.
      if (code === "unknown") code = said.code;
    } else details.push({ typeName: detail.type, value: detail.value });
  }
  return new MicroError(code, text, {
    outcome: isOutcome(outcome) ? outcome : "unknown",
    details,
    ...(pushback > 0 && { retryAfterMs: pushback }),
  });
}

function isOutcome(text: string | null): text is Outcome {
  return text === "unknown" || text === "not-executed" || text === "executed";
}
