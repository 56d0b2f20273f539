import { randomBytes } from "node:crypto";
import { inspect } from "node:util";
import type { ServerCall } from "../call.ts";
import { MicroError } from "../error.ts";
import type { LogFields, Logger } from "../logger.ts";

/** The longest description of a thrown value that is logged, in characters. */
const longestDescription = 16 * 1024;

/**
 * Decides what a caller learns of what a handler threw, and writes the rest to the log. A MicroError is meant
 * for the caller. Anything else may hold secrets: the caller gets `internal` with a number that the log has
 * too.
 */
export class Faults {
  readonly #logger: Logger;

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  /** The error of a call whose handler threw: it ran, so the outcome is `executed`. */
  ofHandler(call: ServerCall, reason: unknown): MicroError {
    return this.#of(call, reason, true);
  }

  /** The error of a call that an interceptor ended: a MicroError keeps the outcome it claims. */
  ofInterceptor(call: ServerCall, reason: unknown): MicroError {
    return this.#of(call, reason, false);
  }

  /** Logs what went wrong behind a call's back, such as in the end of a stream that nobody reads. */
  report(call: ServerCall, reason: unknown, message: string): void {
    this.log(
      { method: call.method.name, peer: call.peer.address, error: describe(reason) },
      message,
    );
  }

  /** Logs an error; a logger that throws changes nothing for the call. */
  log(fields: LogFields, message: string): void {
    try {
      this.#logger.error(fields, message);
    } catch (failure) {
      process.emitWarning(`the logger threw at "${message}": ${describe(failure)}`);
    }
  }

  /** What a handler throws once its call was given up is mostly the giving up itself, and nobody waits for it. */
  #afterCancellation(call: ServerCall, cancelled: MicroError, reason: unknown): void {
    if (reason === cancelled || isMicroError(reason)) return;
    if (reason instanceof Error && reason.name === "AbortError") return;
    this.#logger.debug(
      { method: call.method.name, error: describe(reason) },
      "a handler failed after its call was cancelled",
    );
  }

  #of(call: ServerCall, reason: unknown, executed: boolean): MicroError {
    if (call.cancelled !== undefined) {
      this.#afterCancellation(call, call.cancelled, reason);
      return call.cancelled;
    }
    if (isMicroError(reason)) return executed ? asExecuted(reason) : reason;
    const incident = randomBytes(4).toString("hex");
    this.log(
      {
        method: call.method.name,
        peer: call.peer.address,
        incident,
        error: describe(reason),
      },
      "a handler failed",
    );
    return new MicroError(
      "internal",
      `${call.method.name} failed in the server; its log has the reason under incident ${incident}`,
      { outcome: "executed" },
    );
  }
}

/** Everything that is known of a thrown value, stack and causes included. For logs only. */
export function describe(reason: unknown): string {
  try {
    return inspect(reason, { depth: 4 }).slice(0, longestDescription);
  } catch {
    return "a value that cannot be inspected";
  }
}

/** `instanceof` asks the value, and a thrown proxy may throw again. */
function isMicroError(reason: unknown): reason is MicroError {
  try {
    return reason instanceof MicroError;
  } catch {
    return false;
  }
}

/**
 * An error of a further call that a handler passes on may say `not-executed`; for this call that is wrong, as
 * the handler ran, and a client would repeat it.
 */
function asExecuted(error: MicroError): MicroError {
  if (error.outcome === "executed") return error;
  return new MicroError(error.code, error.message, {
    outcome: "executed",
    details: error.details,
    ...(error.retryAfterMs === undefined ? {} : { retryAfterMs: error.retryAfterMs }),
  });
}
