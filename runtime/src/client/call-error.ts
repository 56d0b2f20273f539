import { asMicroError, MicroError, type Outcome } from "../base/error.ts";
import type { AnyMethod, MethodKind } from "../call/method.ts";
import { isRemote, markRemote } from "../call/remote-error.ts";
import type { OutboundCall } from "./outbound-call.ts";

/**
 * The error as the caller receives it: with the method, the service and the node. A handler's
 * response is left unchanged, even if it comes from another framework and has no outcome.
 *
 * The outcome is that of the call and not of its last attempt: a refused retry does not undo an
 * earlier attempt.
 */
export function withCallContext(error: MicroError, call: OutboundCall): MicroError {
  if (isRemote(error)) return copyOfResponse(error);
  const outcome = error.outcome === "not-executed" ? call.outcome : error.outcome;
  const address = call.address;
  const node =
    address === undefined || address === call.target ? call.target : `${call.target} at ${address}`;
  const attempt = call.attempts > 1 ? `, attempt ${call.attempts}` : "";
  const where = `${call.method.name} on ${node}${attempt}`;
  const earlier = outcome === error.outcome ? "" : earlierAttempts[outcome];
  return new MicroError(error.code, `${where}: ${error.message}${earlier}`, {
    outcome,
    details: error.details,
    ...(error.retryAfterMs === undefined ? {} : { retryAfterMs: error.retryAfterMs }),
    cause: error,
  });
}

/** Text added to the message if the last attempt did not run and an earlier one did or may have. */
const earlierAttempts: Readonly<Record<Outcome, string>> = {
  "not-executed": "",
  unknown: "; an earlier attempt may have been executed",
  executed: "; an earlier attempt was executed",
};

/** A copy, so that its stack is that of the call. */
function copyOfResponse(error: MicroError): MicroError {
  const { code, message, outcome, details, retryAfterMs, cause } = error;
  const copy = new MicroError(code, message, {
    outcome,
    details,
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
    ...(cause === undefined ? {} : { cause }),
  });
  return outcome === "executed" ? copy : markRemote(copy);
}

/**
 * Rejects with {@link withCallContext} of an error, created where V8 finds the callers: V8 follows
 * a rejected promise to its awaiters. The caller's promise must be resolved with this one in the
 * same turn. That takes the first of the two turns waited for here, so the error is created in the
 * second. Successful calls pay nothing for it.
 */
export async function rejectWithCaller(error: MicroError, call: OutboundCall): Promise<never> {
  await undefined;
  await undefined;
  throw withCallContext(error, call);
}

/** The error of a wait whose signal aborted: `canceled`, or `deadline_exceeded` after a timeout. */
export function cancelled(reason: unknown, what: string, outcome: Outcome): MicroError {
  const timeout = asMicroError(reason, "canceled").code === "deadline_exceeded";
  return new MicroError(
    timeout ? "deadline_exceeded" : "canceled",
    timeout ? `the caller's time was over ${what}` : `the caller cancelled ${what}`,
    { outcome, cause: reason },
  );
}

/** The error of a call on a closed client. */
export function clientClosed(method: string): MicroError {
  return new MicroError("unavailable", `cannot call ${method}: the client is closed`, {
    outcome: "not-executed",
  });
}

/** The error of a call whose deadline has already passed. */
export function alreadyLate(method: string, target: string): MicroError {
  return new MicroError(
    "deadline_exceeded",
    `${method} on ${target} was not called: its deadline had passed before`,
    { outcome: "not-executed" },
  );
}

/** The error of a response with no message or several, where exactly one is required. */
export function notOneResponse(
  method: string,
  target: string,
  count: "no message" | "several messages",
): MicroError {
  return new MicroError(
    "unimplemented",
    `${target} responded to ${method} with ${count} instead of one; do both sides have the same .proto?`,
    { outcome: "unknown" },
  );
}

/** The error of a method called as if it were of another kind. */
export function wrongKind(method: AnyMethod, kind: MethodKind): MicroError {
  return new MicroError(
    "unimplemented",
    `${method.name} is ${method.kind} and cannot be called as ${kind}`,
    { outcome: "not-executed" },
  );
}
