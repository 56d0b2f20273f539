import { Buffer } from "node:buffer";
import { type ErrorDetail, isCode, MicroError, type Outcome } from "../base/error.ts";
import { errorText, parseErrorText } from "../transport/go-micro-error.ts";
import { outcomeKey, pushbackKey } from "../transport/http-headers.ts";
import { type GoMicroMessage, headerName, type OutgoingHeader } from "./message.ts";

/* Header lines that carry, for Micro-ES callers, what go-micro's own error format cannot. */
const codeLine = "Micro-Code";
const outcomeLine = "Micro-Outcome";
const pushbackLine = "Grpc-Retry-Pushback-Ms";
const detailsLine = "Micro-Details";

/** Lines that carry what go-micro's error format cannot. They are not metadata. */
export const errorLines: ReadonlySet<string> = new Set([
  codeLine.toLowerCase(),
  detailsLine.toLowerCase(),
  outcomeKey,
  pushbackKey,
]);

/** Writes an error into the header of a response. */
export function writeError(header: OutgoingHeader, error: MicroError, id: string): void {
  const text = errorText(error, id);
  header.set(headerName.error, text);
  header.set(`X-${headerName.error}`, text);
  header.set(codeLine, error.code);
  header.set(outcomeLine, error.outcome);
  if (error.retryAfterMs !== undefined && error.retryAfterMs > 0) {
    header.set(pushbackLine, String(Math.ceil(error.retryAfterMs)));
  }
  const details = error.details
    .filter(({ value }) => value instanceof Uint8Array)
    .map(({ typeName, value }) => `${typeName}=${Buffer.from(value).toString("base64")}`);
  if (details.length > 0) header.set(detailsLine, details.join(","));
}

/** Returns the error of a message with this `Micro-Error` text. */
export function readError(text: string, message: GoMicroMessage): MicroError {
  const said = parseErrorText(text);
  const code = message.header.get(codeLine.toLowerCase()) ?? "";
  const outcome = message.header.get(outcomeKey);
  const pushback = Number(message.header.get(pushbackKey) ?? Number.NaN);
  return new MicroError(isCode(code) ? code : said.code, said.text, {
    outcome: isOutcome(outcome) ? outcome : said.outcome,
    details: readDetails(message.header.get(detailsLine.toLowerCase())),
    ...(pushback > 0 && { retryAfterMs: pushback }),
  });
}

function readDetails(text: string | undefined): ErrorDetail[] {
  if (text === undefined) return [];
  return text.split(",").flatMap((part) => {
    const equals = part.indexOf("=");
    if (equals < 1) return [];
    const value = new Uint8Array(Buffer.from(part.slice(equals + 1), "base64"));
    return [{ typeName: part.slice(0, equals), value }];
  });
}

function isOutcome(text: string | undefined): text is Outcome {
  return text === "unknown" || text === "not-executed" || text === "executed";
}
