import { type Code, MicroError, type Outcome } from "@micro-es/runtime";

/** The first words of the errors with which a server refuses a command that it did not execute. */
const refusals: Readonly<Record<string, readonly [Code, hint?: string]>> = {
  OOM: ["resource_exhausted", "the server has reached its maxmemory"],
  NOPERM: ["permission_denied", "its access control list does not allow that"],
  NOAUTH: ["unauthenticated", "the server needs a password"],
  WRONGPASS: ["unauthenticated", "the server refuses user and password"],
  WRONGTYPE: ["failed_precondition", "another program uses the key"],
  READONLY: ["unavailable", "the server is a replica"],
  LOADING: ["unavailable", "the server is reading its data"],
  MASTERDOWN: ["unavailable"],
  CLUSTERDOWN: ["unavailable"],
  NOREPLICAS: ["unavailable"],
  MISCONF: ["unavailable", "the server cannot write to its disk"],
  BUSY: ["unavailable", "a script is running for too long"],
  MOVED: ["failed_precondition", "the server belongs to a cluster, which is not supported"],
  CROSSSLOT: ["failed_precondition", "the server belongs to a cluster, which is not supported"],
};

/** Marks what was not sent. */
export class NotSent extends Error {
  override readonly name = "NotSent";
}

/** The connection ended, or was closed because the server did not respond. */
export class ConnectionLost extends Error {
  override readonly name = "ConnectionLost";
}

/** The first word of the server's error; undefined for any other error. */
export function refusalOf(error: unknown): string | undefined {
  const { name, message } = error as Error;
  return name === "ReplyError" ? /^[A-Z]+/.exec(message)?.[0] : undefined;
}

/** Converts an error into a MicroError that names the attempted operation. */
export function redisFailure(error: unknown, what: string): MicroError {
  if (error instanceof MicroError) return error;
  if (error instanceof NotSent) return failure("unavailable", "not-executed", error, what);
  const word = refusalOf(error);
  if (word === undefined) return failure("unavailable", "unknown", error, what);
  if (!Object.hasOwn(refusals, word)) return failure("internal", "unknown", error, what);
  const [code, hint] = refusals[word] as readonly [Code, string?];
  return failure(code, "not-executed", error, what, hint);
}

function failure(
  code: Code,
  outcome: Outcome,
  cause: unknown,
  what: string,
  hint?: string,
): MicroError {
  const { message } = cause as Error;
  const said = refusalOf(cause) === undefined ? message : `Redis says ${message.slice(0, 300)}`;
  const help = hint === undefined ? "" : ` (${hint})`;
  return new MicroError(code, `cannot ${what}: ${said}${help}`, { cause, outcome });
}
