import { type Code, MicroError, type Outcome } from "@micro-es/runtime";
import type { NatsError } from "nats";

/** JetStream's error numbers, which are more specific than its HTTP-like codes. */
const wrongLastSequence = 10071;
const codesByApiError: ReadonlyMap<number, Code> = new Map([
  [wrongLastSequence, "aborted"],
  [10164, "aborted"],
  [10047, "resource_exhausted"],
  [10023, "resource_exhausted"],
  [10028, "resource_exhausted"],
  [10077, "resource_exhausted"],
  [10076, "failed_precondition"],
  [10039, "failed_precondition"],
  [10059, "not_found"],
  [10014, "not_found"],
]);

const codes: Readonly<Record<string, readonly [Code, Outcome]>> = {
  TIMEOUT: ["unavailable", "unknown"],
  DISCONNECT: ["unavailable", "unknown"],
  REQUEST_ERROR: ["unavailable", "unknown"],
  CONNECTION_REFUSED: ["unavailable", "not-executed"],
  CONNECTION_TIMEOUT: ["unavailable", "not-executed"],
  CONNECTION_CLOSED: ["unavailable", "not-executed"],
  CONNECTION_DRAINING: ["unavailable", "not-executed"],
  "503": ["unavailable", "not-executed"],
  TLS: ["unavailable", "not-executed"],
  MAX_PAYLOAD_EXCEEDED: ["resource_exhausted", "not-executed"],
  PERMISSIONS_VIOLATION: ["permission_denied", "not-executed"],
  AUTHORIZATION_VIOLATION: ["unauthenticated", "not-executed"],
  AUTHENTICATION_EXPIRED: ["unauthenticated", "not-executed"],
  BAD_AUTHENTICATION: ["unauthenticated", "not-executed"],
  BAD_CREDS: ["unauthenticated", "not-executed"],
  INVALID_OPTION: ["invalid_argument", "not-executed"],
  BAD_SUBJECT: ["invalid_argument", "not-executed"],
};

/** The fix, for errors that the library reports without one. */
const hints: Readonly<Record<string, string>> = {
  "503": "no response; is JetStream enabled (nats-server -js)?",
  AUTHORIZATION_VIOLATION:
    "the servers refuse who we are; check user and password, token, credentials or nkey",
  CONNECTION_REFUSED: "nothing listens there; start nats-server, or correct the URL",
};

/** Converts an error of the library or JetStream into a MicroError. */
export function natsFailure(error: unknown, what: string): MicroError {
  if (error instanceof MicroError) return error;
  const { code = "", message, api_error: api } = error as NatsError;
  if (api !== undefined) {
    const known =
      codesByApiError.get(api.err_code ?? 0) ?? (api.code >= 500 ? "unavailable" : "internal");
    return new MicroError(known, `cannot ${what}: JetStream says ${api.description}`, {
      cause: error,
      outcome: "not-executed",
    });
  }
  const [known, outcome] = codes[code] ?? (["unavailable", "unknown"] as const);
  const hint = hints[code] ?? message;
  return new MicroError(known, `cannot ${what}: ${hint}`, { cause: error, outcome });
}

/** Errors of a dial while servers are starting, from the library and from Node. */
const notUpYet: ReadonlySet<string> = new Set([
  "CONNECTION_REFUSED",
  "CONNECTION_TIMEOUT",
  "CONNECTION_CLOSED",
  "TIMEOUT",
  "DISCONNECT",
  "ECONNREFUSED",
  "ECONNRESET",
  "EPIPE",
  "ENOTFOUND",
  "EAI_AGAIN",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "ETIMEDOUT",
]);

/**
 * Whether servers that a dial did not reach may not be up yet, as opposed to refusing it or being
 * misconfigured.
 */
export function isNotUpYet(error: unknown): boolean {
  return notUpYet.has(String((error as NatsError | undefined)?.code));
}

/** Whether a write was rejected because the subject's last sequence is not the expected one. */
export function isWrongSequence(error: unknown): boolean {
  return (error as NatsError | undefined)?.api_error?.err_code === wrongLastSequence;
}

/** Whether JetStream reports that there is no such stream, consumer or message. */
export function isNotFound(error: unknown): boolean {
  const { code, api_error: api } = error as NatsError;
  return api?.code === 404 || code === "404";
}

/** Whether a subject has no listener, so that nothing has happened. */
export function isNobodyThere(error: unknown): boolean {
  return (error as NatsError | undefined)?.code === "503";
}
