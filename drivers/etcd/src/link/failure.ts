import { asMicroError, MicroError } from "@micro-es/runtime";

/** Responses of a member that has not executed the request; all others leave that open. */
const refusals: RegExp = new RegExp(
  `^etcdserver: (${[
    "no leader",
    "too many requests",
    "requested lease not found",
    "mvcc: database space exceeded",
    "mvcc: required revision has been compacted",
    "permission denied",
    "user name is empty",
    "invalid auth token",
    "authentication",
    "revision of auth store is old",
    "request is too large",
    "too many operations",
  ].join("|")})|received message larger than max`,
);
const tooLarge = /request is too large|received message larger than max/;

/** Converts an etcd error into a MicroError that names the attempted operation. */
export function etcdFailure(error: unknown, what: string): MicroError {
  const failure = asMicroError(error, "unavailable");
  if (failure.message.startsWith("cannot ")) return failure;
  const { retryAfterMs } = failure;
  const isRefused = refusals.test(failure.message);
  const code = tooLarge.test(failure.message) ? "resource_exhausted" : failure.code;
  const outcome = isRefused ? "not-executed" : failure.outcome;
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
