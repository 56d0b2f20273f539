import { asMicroError, MicroError } from "@micro-es/runtime";

/** Converts an etcd error into a MicroError that names the attempted operation. */
export function etcdFailure(error: unknown, what: string): MicroError {
  const failure = asMicroError(error, "unavailable");
  if (failure.message.startsWith("cannot ")) return failure;
  const { code, outcome, retryAfterMs } = failure;
  const said = failure.message.replace(/^etcdserver: /, "etcd says: ");
  return new MicroError(code, `cannot ${what}: ${said}`, {
    outcome,
    cause: error,
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
  });
}

/** Whether etcd refused a request because its token is invalid or has expired. */
export function isTokenRefused(error: unknown): boolean {
  const { code, message } = asMicroError(error);
  if (code === "unauthenticated") return true;
  // A member that has seen a change of users or roles refuses tokens issued before it.
  const isStale = message.includes("revision of auth store is old");
  // Authentication was enabled after we connected without a token.
  return code === "invalid_argument" && (isStale || message.includes("user name is empty"));
}

/** Whether the member, rather than the request, is at fault: another member may succeed. */
export function isMemberFault(error: unknown): boolean {
  const { code } = asMicroError(error);
  return code === "unavailable" || code === "deadline_exceeded";
}
