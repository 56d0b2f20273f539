import { type Code, type ErrorDetail, isOutcome, MicroError } from "../../../base/error.ts";
import { markRemote } from "../../../call/remote-error.ts";
import { parseErrorText } from "../../go-micro-error.ts";
import { type HeaderLine, outcomeKey, pushbackKey } from "../../http-headers.ts";
import { canInflate } from "../compression/inflation.ts";
import { goMicroErrorType } from "../go-micro-detail.ts";

/** Creates the error that a server responds with. */
export function responseError(
  code: Code,
  message: string,
  lines: readonly HeaderLine[],
  details: readonly ErrorDetail[],
): MicroError {
  let ownCode = code;
  let text = message;
  const kept: ErrorDetail[] = [];
  for (const detail of details) {
    if (detail.typeName === goMicroErrorType) {
      const parsed = parseErrorText(text);
      text = parsed.text;
      // gRPC has no number for some of go-micro's codes.
      if (ownCode === "unknown") ownCode = parsed.code;
    } else kept.push(detail);
  }
  const error = errorWith(ownCode, text, lines, kept);
  // An error from a Micro-ES server is recognized by its outcome.
  return error.outcome === "unknown" ? markRemote(error) : error;
}

/** Creates an error with the outcome and the push-back that a response states. */
export function errorWith(
  code: Code,
  message: string,
  lines: readonly HeaderLine[],
  details: readonly ErrorDetail[] = [],
): MicroError {
  const outcome = lines.find(([name]) => name === outcomeKey)?.[1];
  const pushback = Number(lines.find(([name]) => name === pushbackKey)?.[1] ?? Number.NaN);
  return new MicroError(code, message, {
    outcome: isOutcome(outcome) ? outcome : "unknown",
    details,
    ...(pushback > 0 && { retryAfterMs: pushback }),
  });
}

/**
 * Returns the error of a response that does not end as its protocol requires. Whether the call was
 * executed is unknown without its status.
 */
export function malformedResponse(why: string): MicroError {
  return new MicroError("internal", `malformed response: ${why}`);
}

/** Returns the error of a response with this content type, which the protocol does not have. */
export function unsupportedType(contentType: string, code: Code): MicroError {
  const type = contentType === "" ? "none" : contentType.slice(0, 96);
  return new MicroError(code, `unsupported content type of a response: ${type}`);
}

/** Returns the error of an encoding that cannot be inflated; undefined if it can. */
export function encodingError(encoding: string | undefined): MicroError | undefined {
  if (encoding === undefined || canInflate(encoding)) return undefined;
  const name = JSON.stringify(encoding.slice(0, 32));
  return new MicroError("internal", `unsupported encoding of a response: ${name}`);
}

/** The code of an HTTP status, as gRPC and Connect define it for responses of proxies. */
export function codeOfHttp(status: number): Code {
  switch (status) {
    case 400:
      return "internal";
    case 401:
      return "unauthenticated";
    case 403:
      return "permission_denied";
    case 404:
      return "unimplemented";
    case 429:
    case 502:
    case 503:
    case 504:
      return "unavailable";
    default:
      return "unknown";
  }
}
