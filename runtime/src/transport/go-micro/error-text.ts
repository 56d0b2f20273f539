import { Buffer } from "node:buffer";
import { type Code, type ErrorDetail, isCode, MicroError, type Outcome } from "../../error.ts";
import { outcomeKey, pushbackKey } from "../http/http-metadata.ts";
import { type GoMicroMessage, headerName, type OutgoingHeader } from "./message.ts";

/*
 * Errors of go-micro are `{"id","code","detail","status"}` in the line `Micro-Error`, with the numbers of HTTP as codes;
 * an error that is no go-micro's is a bare text. Beside it stands, for callers that are ours, what that cannot say.
 */

/** Go's `http.StatusText` of the numbers that {@link numberOf} gives. */
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

/** The number of each code. 408 is the one that clients of go-micro try again. */
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

const codeLine = "Micro-Code";
const outcomeLine = "Micro-Outcome";
const pushbackLine = "Grpc-Retry-Pushback-Ms";
const detailsLine = "Micro-Details";

/** Lines that say of an error what go-micro's own form cannot; no metadata. */
export const errorLines: ReadonlySet<string> = new Set([
  codeLine.toLowerCase(),
  detailsLine.toLowerCase(),
  outcomeKey,
  pushbackKey,
]);

/** An error in go-micro's own terms. */
export interface GoMicroError {
  /** Who failed, by convention the name of a service. */
  readonly id: string;
  /** A number of HTTP. */
  readonly code: number;
  readonly detail: string;
  /** What Go calls the number; "" where it has no name. */
  readonly status: string;
}

/** @param id who failed */
export function toGoMicroError(error: MicroError, id: string): GoMicroError {
  const code = numberOf(error);
  return { id, code, detail: error.message, status: statusText[code] ?? "" };
}

/** An error as go-micro's JSON. @param id who failed, by convention the name of the service. */
export function errorText(error: MicroError, id: string): string {
  const { code, detail, status, id: who } = toGoMicroError(error, id);
  const text = JSON.stringify({
    ...(who !== "" && { id: who }),
    code,
    ...(detail !== "" && { detail }),
    ...(status !== "" && { status }),
  });
  // Lines of HTTP are ASCII; JSON can say the rest in it.
  return text.replace(
    /[\u007f-\uffff]/g,
    (it) => `\\u${it.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

/** Clients of go-micro try 408 again, at another node: what a refusal that has done nothing is meant to say. */
function numberOf(error: MicroError): number {
  const refused = error.code === "unavailable" && error.outcome === "not-executed";
  return refused ? 408 : numbers[error.code];
}

/** Writes an error into the header of an answer. */
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

/** The error of a message whose `Micro-Error` is this text. */
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

/** What go-micro's text of an error says; one that is not its JSON is the whole message. */
export function parseErrorText(text: string): { code: Code; text: string; outcome: Outcome } {
  const known = readJson(text);
  if (known !== undefined) {
    return {
      code: codes[known.code] ?? "unknown",
      text: known.detail,
      outcome: "unknown",
    };
  }
  // What a server of go-micro says before it has called anything.
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
