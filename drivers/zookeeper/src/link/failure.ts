import { asMicroError, type Code, MicroError } from "@micro-es/runtime";

/** Error codes of ZooKeeper that a caller reacts to. */
export const errors = {
  noNode: -101,
  noAuth: -102,
  badVersion: -103,
  nodeExists: -110,
  notEmpty: -111,
  sessionExpired: -112,
  authFailed: -115,
  noWatcher: -121,
} as const;

const known: Readonly<Record<number, readonly [code: Code, says: string]>> = {
  [-4]: ["unavailable", "it lost its connection to the others"],
  [-5]: ["invalid_argument", "it cannot read the request"],
  [-6]: ["unimplemented", "it does not know the request; version 3.6 or later is needed"],
  [-7]: ["unavailable", "the operation timed out"],
  [-8]: ["invalid_argument", "the path is not valid"],
  [errors.noNode]: ["not_found", "there is no such znode"],
  [errors.noAuth]: ["permission_denied", "the znode's rights do not allow it"],
  [errors.badVersion]: ["aborted", "the znode was changed meanwhile"],
  [-108]: ["failed_precondition", "an ephemeral znode has no children"],
  [errors.nodeExists]: ["already_exists", "the znode exists"],
  [errors.notEmpty]: ["failed_precondition", "the znode has children"],
  [errors.sessionExpired]: ["unavailable", "the session has expired"],
  [-114]: ["invalid_argument", "the rights are not valid; is a user configured?"],
  [errors.authFailed]: ["unauthenticated", "it rejects the user"],
  [-118]: ["unavailable", "the session has moved to another server"],
  [-122]: ["unavailable", "the request timed out"],
  [-124]: ["unauthenticated", "it requires SASL, which is not supported"],
  [-125]: ["resource_exhausted", "a quota is exceeded"],
  [-127]: ["resource_exhausted", "the server is overloaded"],
};

/** Errors of which it is unknown whether the request was executed. */
const undecided: ReadonlySet<number> = new Set([-1, -2, -4, -7, -122]);

/** The error that a response with this code is. */
export function responseFailure(err: number, path: string): MicroError {
  const [code, says] = known[err] ?? ["internal", `it responded with the error ${err}`];
  const shown = JSON.stringify(path.slice(0, 200));
  return new MicroError(code, `ZooKeeper refuses ${shown}: ${says}`, {
    outcome: undecided.has(err) ? "unknown" : "not-executed",
  });
}

/** Names the attempted operation in a failure. */
export function zooKeeperFailure(error: unknown, what: string): MicroError {
  const failure = asMicroError(error, "unavailable");
  if (failure.message.startsWith("cannot ")) return failure;
  const { code, outcome } = failure;
  return new MicroError(code, `cannot ${what}: ${failure.message}`, { outcome, cause: error });
}

export function unavailable(message: string, isSent: boolean, cause?: unknown): MicroError {
  return new MicroError("unavailable", message, {
    outcome: isSent ? "unknown" : "not-executed",
    cause,
  });
}
