import { type Code, MicroError } from "../base/error.ts";
import type { Decision } from "./auth.ts";

/**
 * The errors of refused callers. Each has one fixed text: the reason would help an attacker, and is
 * in the log and the audit trail.
 */
const texts = {
  unauthenticated: "the call needs a valid credential",
  permission_denied: "the caller may not do this",
} as const;

export function refusal(code: (Decision & { allowed: false })["code"]): MicroError {
  return refusedFor(code, texts[code]);
}

/**
 * Returns an error without a stack trace, `not-executed`. Capturing one would take longer than the
 * rest of a refusal, of which a flood of calls causes many, and says nothing of the caller.
 */
export function refusedFor(code: Code, message: string): MicroError {
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = 0;
  try {
    return new MicroError(code, message, { outcome: "not-executed" });
  } finally {
    Error.stackTraceLimit = stackTraceLimit;
  }
}

/** The error for a credential that is not valid. The reason is for logs; a caller never gets it. */
export function invalidCredential(reason: string, cause?: unknown): MicroError {
  return new MicroError("unauthenticated", `the credential is not valid: ${reason}`, {
    outcome: "not-executed",
    ...(cause !== undefined && { cause }),
  });
}
