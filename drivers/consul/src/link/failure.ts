import { asMicroError, type Code, MicroError } from "@micro-es/runtime";
import type { HttpResponse } from "./http.ts";

const codes: Readonly<Record<number, Code>> = {
  400: "invalid_argument",
  401: "unauthenticated",
  403: "permission_denied",
  404: "not_found",
  413: "invalid_argument",
  429: "resource_exhausted",
};

/** Statuses with which nothing was executed. */
const refusals: ReadonlySet<number> = new Set([400, 401, 403, 404, 405, 413, 429]);

/** The error that a response of this status is. */
export function statusFailure({ status, text }: HttpResponse): MicroError {
  const said = text.trim().slice(0, 300);
  const shown = said === "" ? `responded ${status}` : `says: ${said}`;
  // ACL not found, in versions that respond 500 to it as well.
  const code = codes[status] ?? (/ACL not found/i.test(said) ? "unauthenticated" : "unavailable");
  // A server that lost its leadership may have written what it could not confirm.
  const outcome = refusals.has(status) ? "not-executed" : "unknown";
  return new MicroError(code, `Consul ${shown}`, { outcome });
}

/** Names the attempted operation in a failure. */
export function consulFailure(error: unknown, what: string): MicroError {
  const failure = asMicroError(error, "unavailable");
  if (failure.message.startsWith("cannot ")) return failure;
  const { code, outcome, retryAfterMs } = failure;
  return new MicroError(code, `cannot ${what}: ${failure.message}`, {
    outcome,
    cause: error,
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
  });
}

/** Whether the agent or its servers, rather than the request, are at fault. */
export function isAgentFault(error: unknown): boolean {
  const { code } = asMicroError(error, "unavailable");
  return code === "unavailable" || code === "deadline_exceeded";
}
