import type { NatsError } from "nats";
import { type Code, MicroError, type Outcome } from "../error.ts";

/** Numbers of JetStream's errors, which say more than their HTTP-like codes. */
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

/** What to do, where the library only says that it is so. */
const hints: Readonly<Record<string, string>> = {
  "503": "nobody answers; is JetStream enabled (nats-server -js)?",
  AUTHORIZATION_VIOLATION:
    "the servers refuse who we are; check user and password, token, credentials or nkey",
  CONNECTION_REFUSED:
    "nobody listens there; start nats-server, or say by `servers` or MICRO_NATS_URL where it is",
};

/** What the library or JetStream said, in the runtime's words. */
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

/** Whether a write was refused because the subject has another last sequence than expected. */
export function isWrongSequence(error: unknown): boolean {
  return (error as NatsError | undefined)?.api_error?.err_code === wrongLastSequence;
}

/** Whether JetStream says that there is no such stream, consumer or message. */
export function isNotFound(error: unknown): boolean {
  const { code, api_error: api } = error as NatsError;
  return api?.code === 404 || code === "404";
}

/** Whether nobody listens at a subject, so that nothing has happened. */
export function isNobodyThere(error: unknown): boolean {
  return (error as NatsError | undefined)?.code === "503";
}
