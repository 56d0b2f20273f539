import type { Code, MicroError, Outcome } from "../base/error.ts";

/*
 * go-micro writes an error as `{"id","code","detail","status"}`, with HTTP status codes as codes:
 * in the `Micro-Error` header of its RPC, and in the details of its gRPC statuses. Any other text
 * is the message itself.
 */

/** Go's `http.StatusText` for the status codes that {@link numberOf} returns. */
const statusText: Readonly<Record<number, string>> = {
  400: "Bad Request",
  401: "Unauthorized",
  403: "Forbidden",
  404: "Not Found",
  405: "Method Not Allowed",
  408: "Request Timeout",
  409: "Conflict",
  412: "Precondition Failed",
  429: "Too Many Requests",
  500: "Internal Server Error",
  501: "Not Implemented",
  503: "Service Unavailable",
};

/** The HTTP status of each code. go-micro clients retry 408. */
const numbers: Readonly<Record<Code, number>> = {
  canceled: 499,
  unknown: 500,
  invalid_argument: 400,
  deadline_exceeded: 408,
  not_found: 404,
  already_exists: 409,
  permission_denied: 403,
  resource_exhausted: 429,
  failed_precondition: 412,
  aborted: 409,
  out_of_range: 400,
  unimplemented: 501,
  internal: 500,
  unavailable: 503,
  data_loss: 500,
  unauthenticated: 401,
};

const codes: Readonly<Record<number, Code>> = {
  400: "invalid_argument",
  401: "unauthenticated",
  403: "permission_denied",
  404: "not_found",
  405: "unimplemented",
  408: "deadline_exceeded",
  409: "already_exists",
  412: "failed_precondition",
  429: "resource_exhausted",
  499: "canceled",
  500: "internal",
  501: "unimplemented",
  503: "unavailable",
  504: "deadline_exceeded",
};

/** An error as go-micro represents it. */
export interface GoMicroError {
  /** Where the error occurred, by convention the name of a service. */
  readonly id: string;
  /** An HTTP status code. */
  readonly code: number;
  readonly detail: string;
  /** Go's text for the status code; "" for a code without one. */
  readonly status: string;
}

/** @param id where the error occurred */
export function toGoMicroError(error: MicroError, id: string): GoMicroError {
  const code = numberOf(error);
  return { id, code, detail: error.message, status: statusText[code] ?? "" };
}

/**
 * Formats an error as go-micro's JSON.
 * @param id where the error occurred, by convention the name of a service
 */
export function errorText(error: MicroError, id: string): string {
  const { code, detail, status, id: who } = toGoMicroError(error, id);
  const text = JSON.stringify({
    ...(who !== "" && { id: who }),
    code,
    ...(detail !== "" && { detail }),
    ...(status !== "" && { status }),
  });
  // HTTP header lines are ASCII; JSON can escape everything else.
  return text.replace(
    /[\u007f-\uffff]/g,
    (it) => `\\u${it.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

/**
 * Returns the HTTP status of an error. go-micro clients retry 408 at another node, so a refusal
 * that had no effect is sent as 408.
 */
function numberOf(error: MicroError): number {
  const refused = error.code === "unavailable" && error.outcome === "not-executed";
  return refused ? 408 : numbers[error.code];
}

/** Parses go-micro's text of an error. Text that is not go-micro's JSON is the whole message. */
export function parseErrorText(text: string): { code: Code; text: string; outcome: Outcome } {
  const known = readJson(text);
  if (known !== undefined) {
    return {
      code: codes[known.code] ?? "unknown",
      text: known.detail,
      outcome: "unknown",
    };
  }
  // What a go-micro server responds before it has called anything.
  const unknownName = /^rpc: (?:can't find|service\/endpoint request ill-formed)/.test(text);
  return {
    code: unknownName ? "unimplemented" : "unknown",
    text,
    outcome: unknownName ? "not-executed" : "unknown",
  };
}

function readJson(text: string): { code: number; detail: string } | undefined {
  if (!text.startsWith("{")) return undefined;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof value !== "object" || value === null) return undefined;
  const { code, detail } = value as { code?: unknown; detail?: unknown };
  if (code !== undefined && typeof code !== "number") return undefined;
  if (detail !== undefined && typeof detail !== "string") return undefined;
  if (code === undefined && detail === undefined) return undefined;
  return { code: code ?? 0, detail: detail ?? "" };
}
