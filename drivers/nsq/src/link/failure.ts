import type { Buffer } from "node:buffer";
import { type Code, MicroError, type Outcome } from "@micro-es/runtime";

/** The errors with which nsqd refuses a command that it did not execute. */
const refusals: Readonly<Record<string, readonly [Code, hint?: string] | undefined>> = {
  E_AUTH_FAILED: ["unauthenticated", "the server refuses the secret"],
  E_AUTH_FIRST: ["unauthenticated", "the server needs a secret"],
  E_AUTH_ERROR: ["unavailable", "the server cannot ask its auth service"],
  E_UNAUTHORIZED: ["permission_denied", "the secret does not permit that"],
  E_BAD_MESSAGE: ["resource_exhausted", "nsqd's --max-msg-size may be exceeded"],
  E_BAD_BODY: ["invalid_argument", "the server does not allow one of the settings"],
  E_INVALID: ["failed_precondition", "nsqd may require TLS"],
  E_BAD_TOPIC: ["invalid_argument"],
  E_BAD_CHANNEL: ["invalid_argument"],
  E_SUB_FAILED: ["unavailable", "nsqd's --max-channel-consumers may be reached"],
  E_PUB_FAILED: ["unavailable"],
  E_IDENTIFY_FAILED: ["unavailable"],
};

/** An error that the server sent. */
export class NsqRefusal extends Error {
  override readonly name = "NsqRefusal";
  /** Such as `E_BAD_TOPIC`. */
  readonly word: string;

  constructor(data: Buffer) {
    const text = data
      .toString("latin1", 0, 300)
      .replace(/[^\x20-\x7e]+/g, " ")
      .trim();
    super(`nsqd says ${text}`);
    this.word = /^\w+/.exec(text)?.[0] ?? "";
  }
}

/** Marks what was not sent. */
export class NotSent extends Error {
  override readonly name = "NotSent";
}

/** The connection ended, or was closed because the server did not respond. */
export class ConnectionLost extends Error {
  override readonly name = "ConnectionLost";
}

/** Converts an error into a MicroError that names the attempted operation. */
export function nsqFailure(error: unknown, what: string): MicroError {
  if (error instanceof MicroError) return error;
  if (error instanceof NotSent) return failure("unavailable", "not-executed", error, what);
  if (!(error instanceof NsqRefusal)) return failure("unavailable", "unknown", error, what);
  const [code, hint] = refusals[error.word] ?? (["internal"] as const);
  return failure(code, "not-executed", error, what, hint);
}

/** Whether connecting cannot succeed later either, unless a configuration is changed. */
export function isRefused({ code, cause }: MicroError): boolean {
  if (code !== "unavailable") return true;
  for (let each: unknown = cause; each instanceof Error; each = each.cause) {
    const { code: reason = "" } = each as { readonly code?: unknown };
    if (/CERT|SELF_SIGNED|UNABLE_TO_|ALTNAME/.test(String(reason))) return true;
  }
  return false;
}

export function unavailable(
  message: string,
  outcome: Outcome = "not-executed",
  cause?: unknown,
): MicroError {
  return new MicroError("unavailable", message, { outcome, cause });
}

function failure(
  code: Code,
  outcome: Outcome,
  cause: unknown,
  what: string,
  hint?: string,
): MicroError {
  const help = hint === undefined ? "" : ` (${hint})`;
  const { message } = cause as Error;
  return new MicroError(code, `cannot ${what}: ${message}${help}`, { cause, outcome });
}
