import { type Code, MicroError } from "@micro-es/runtime";

/** What PostgreSQL says about a failed statement. */
interface ServerError extends Error {
  /** SQLSTATE. */
  readonly code: string;
  readonly severity: string | undefined;
}

/** By the class of an SQLSTATE, which its first two characters are; or by all of it. */
const codes: Readonly<Record<string, Code>> = {
  "08": "unavailable",
  "22": "invalid_argument",
  "23": "failed_precondition",
  "25": "failed_precondition",
  "25006": "unavailable",
  "28": "unauthenticated",
  "3D000": "failed_precondition",
  "3F000": "failed_precondition",
  "40": "aborted",
  "42": "failed_precondition",
  "42501": "permission_denied",
  "53": "resource_exhausted",
  "53300": "unavailable",
  "54": "resource_exhausted",
  "55": "unavailable",
  "57": "unavailable",
  "57014": "deadline_exceeded",
};

/** The connection was lost, or abandoned, after a statement was sent on it. */
export class ConnectionLost extends Error {
  override readonly name = "ConnectionLost";
}

/** No response came in time; the connection was abandoned. */
export class ResponseLate extends Error {
  override readonly name = "ResponseLate";
}

/**
 * Converts an error of a statement that was sent into a MicroError that names the attempted
 * operation.
 */
export function postgresFailure(error: unknown, what: string): MicroError {
  if (error instanceof MicroError) return error;
  if (isServerError(error)) {
    const code = codes[error.code] ?? codes[error.code.slice(0, 2)] ?? "internal";
    // After ERROR the statement's transaction was rolled back. FATAL ends the connection, maybe
    // after the commit.
    const outcome = error.severity === "ERROR" ? "not-executed" : "unknown";
    const said = `PostgreSQL says: ${error.message} (${error.code})`;
    return new MicroError(code, `cannot ${what}: ${said}`, { outcome, cause: error });
  }
  const said = error instanceof Error ? error.message : String(error);
  const code = error instanceof ResponseLate ? "deadline_exceeded" : "unavailable";
  return new MicroError(code, `cannot ${what}: ${said}`, { outcome: "unknown", cause: error });
}

/** As {@link postgresFailure}, of an attempt to connect. */
export function connectFailure(error: unknown, place: string): MicroError {
  if (error instanceof MicroError) return error;
  const { code } = postgresFailure(error, "");
  const said = error instanceof Error ? error.message : String(error);
  return new MicroError(
    isServerError(error) ? code : "unavailable",
    `cannot connect to PostgreSQL at ${place}: ${said}`,
    { outcome: "not-executed", cause: error },
  );
}

/** The SQLSTATE of an error, or that of its cause. */
export function stateOf(error: unknown): string | undefined {
  if (isServerError(error)) return error.code;
  return error instanceof MicroError && isServerError(error.cause) ? error.cause.code : undefined;
}

/** Whether the transaction was rolled back for the sake of another, so that it may be repeated. */
export function isConflict(error: unknown): boolean {
  const state = stateOf(error);
  return state === "40001" || state === "40P01";
}

/** Whether a server that is starting, or whose place is taken later, may accept the connection. */
export function isNotUpYet(error: MicroError): boolean {
  return error.code === "unavailable";
}

function isServerError(error: unknown): error is ServerError {
  return (
    error instanceof Error &&
    "severity" in error &&
    "code" in error &&
    typeof error.code === "string" &&
    /^[0-9A-Z]{5}$/.test(error.code)
  );
}
