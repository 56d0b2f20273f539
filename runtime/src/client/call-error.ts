import { isAnswer } from "../answer.ts";
import { asMicroError, MicroError, type Outcome } from "../error.ts";
import type { AnyMethod, MethodKind } from "../method.ts";
import type { OutboundCall } from "./outbound-call.ts";

/**
 * The error as the caller gets it: with the method, the service and the node that it was about. An answer of
 * the other side's handler stays as it was written, also where that is of another world and says no outcome.
 */
export function ofCall(error: MicroError, call: OutboundCall): MicroError {
  if (isAnswer(error)) return error;
  const address = call.address;
  const node =
    address === undefined || address === call.target ? call.target : `${call.target} at ${address}`;
  const attempt = call.attempts > 1 ? `, attempt ${call.attempts}` : "";
  const where = `${call.method.name} on ${node}${attempt}`;
  return new MicroError(error.code, `${where}: ${error.message}`, {
    outcome: error.outcome,
    details: error.details,
    ...(error.retryAfterMs === undefined ? {} : { retryAfterMs: error.retryAfterMs }),
    cause: error,
  });
}

/** The error of a wait whose signal fired: `canceled`, or `deadline_exceeded` where it was a timeout. */
export function cancelled(reason: unknown, what: string, outcome: Outcome): MicroError {
  const timeout = asMicroError(reason, "canceled").code === "deadline_exceeded";
  return new MicroError(
    timeout ? "deadline_exceeded" : "canceled",
    timeout ? `the caller's time was over ${what}` : `the caller cancelled ${what}`,
    { outcome, cause: reason },
  );
}

/** The error of a call on a client that was closed. */
export function clientClosed(method: string): MicroError {
  return new MicroError("unavailable", `cannot call ${method}: the client is closed`, {
    outcome: "not-executed",
  });
}

/** The error of a call with a deadline that has passed already. */
export function alreadyLate(method: string, target: string): MicroError {
  return new MicroError(
    "deadline_exceeded",
    `${method} on ${target} was not called: its deadline had passed before`,
    { outcome: "not-executed" },
  );
}

/** The error of an answer with no message, or with more than one, where there must be one. */
export function notOneAnswer(
  method: string,
  target: string,
  count: "no message" | "several messages",
): MicroError {
  return new MicroError(
    "unimplemented",
    `${target} answered ${method} with ${count} instead of one; do both sides have the same .proto?`,
    { outcome: "unknown" },
  );
}

/** The error of a method that is called as if it were of another kind. */
export function wrongKind(method: AnyMethod, kind: MethodKind): MicroError {
  return new MicroError(
    "unimplemented",
    `${method.name} is ${method.kind} and cannot be called as ${kind}`,
    { outcome: "not-executed" },
  );
}
