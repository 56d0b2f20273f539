import { Code as ConnectCode, ConnectError } from "@connectrpc/connect";
import {
  codeFromNumber,
  codeToNumber,
  type ErrorDetail,
  MicroError,
  type Outcome,
} from "../../error.ts";
import { errorText, parseErrorText } from "../go-micro/error-text.ts";
import { goMicroDetail, goMicroErrorType } from "../go-micro/grpc-error.ts";
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

/**
 * An error for a client of go-micro's: its JSON as the message, and its own detail as the only one. Its clients take
 * the first detail for an error of Go, whatever it is, and end when it is none.
 *
 * @param id who failed
 */
export function toGoMicroStatus(error: MicroError, id: string): ConnectError {
  const { code, outcome, retryAfterMs } = error;
  return toConnectError(
    new MicroError(code, errorText(error, id), {
      outcome,
      details: [goMicroDetail(error, id)],
      ...(retryAfterMs !== undefined && { retryAfterMs }),
    }),
  );
}

/** An error that came with an answer. Without word of a Micro-ES server, its outcome is unknown. */
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
      // gRPC has no number for some of go-micro's.
      if (code === "unknown") code = said.code;
    } else details.push({ typeName: detail.type, value: detail.value });
  }
  return new MicroError(code, text, {
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
