import { asMicroError, type Code, MicroError } from "@micro-es/runtime";

/** With these codes the service refuses a request that it has not executed. */
const refusals: ReadonlySet<Code> = new Set([
  "invalid_argument",
  "not_found",
  "already_exists",
  "permission_denied",
  "unauthenticated",
  "failed_precondition",
  "resource_exhausted",
  "unimplemented",
  "out_of_range",
]);

/** Converts an error of a call into a MicroError that names the attempted operation. */
export function pubSubFailure(error: unknown, what: string): MicroError {
  const failure = asMicroError(error, "unavailable");
  // It was named already. Only the transport dials.
  if (/^cannot (?!dial )/.test(failure.message)) return failure;
  const { code, retryAfterMs } = failure;
  return new MicroError(code, `cannot ${what}: ${failure.message.slice(0, 1_000)}`, {
    outcome: refusals.has(code) ? "not-executed" : failure.outcome,
    cause: error,
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
  });
}

/** Whether the same request may succeed later. */
export function canPass(code: Code): boolean {
  return (
    code === "unavailable" ||
    code === "deadline_exceeded" ||
    code === "aborted" ||
    code === "internal" ||
    code === "unknown" ||
    code === "resource_exhausted"
  );
}

export function unavailable(message: string, outcome: "not-executed" | "unknown"): MicroError {
  return new MicroError("unavailable", message, { outcome });
}
