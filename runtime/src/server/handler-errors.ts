import { randomBytes } from "node:crypto";
import { inspect } from "node:util";
import { isMicroError, MicroError, wellFormed } from "../base/error.ts";
import type { LogFields, Logger } from "../base/logger.ts";
import type { ServerCall } from "../call/call.ts";
import { fromForeignError, hintFor, losesDetails } from "./foreign-error.ts";

/** Maximum length of the logged description of a thrown value, in characters. */
const longestDescription = 16 * 1024;

/** The codes that indicate a fault of the server, whatever the caller sent. */
const faultsOfServers: ReadonlySet<string> = new Set(["unknown", "internal", "data_loss"]);

/**
 * Decides which part of a handler's error the caller sees, and logs the rest. A MicroError is meant
 * for the caller. Anything else may contain secrets: the caller receives `internal` with an id that
 * is also in the log.
 */
export class HandlerErrors {
  readonly #logger: Logger;

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  /** The error of a call whose handler threw: it ran, so the outcome is `executed`. */
  fromHandler(call: ServerCall, reason: unknown): MicroError {
    return this.#of(call, reason, true);
  }

  /** The error of a call that an interceptor ended: a MicroError keeps its own outcome. */
  fromInterceptor(call: ServerCall, reason: unknown): MicroError {
    return this.#of(call, reason, false);
  }

  /**
   * Logs an error that no caller receives, such as one at the end of a stream that is no longer
   * read.
   */
  report(call: ServerCall, reason: unknown, message: string): void {
    this.log(
      { method: call.method.name, peer: call.peer.address, error: describe(reason) },
      message,
    );
  }

  /** Logs an error; a logger that throws does not affect the call. */
  log(fields: LogFields, message: string): void {
    this.#write("error", fields, message);
  }

  /**
   * An error thrown after its call was cancelled usually results from the cancellation, and no
   * caller waits for it.
   */
  #afterCancellation(call: ServerCall, cancelled: MicroError, reason: unknown): void {
    if (reason === cancelled || isMicroError(reason) || isAbortError(reason)) return;
    this.#write(
      "debug",
      { method: call.method.name, error: describe(reason) },
      "a handler failed after its call was cancelled",
    );
  }

  /** Writes to the log; a logger that throws does not affect the call. */
  #write(level: "debug" | "error", fields: LogFields, message: string): void {
    try {
      this.#logger[level](fields, message);
    } catch (failure) {
      process.emitWarning(`the logger threw at "${message}": ${describe(failure)}`);
    }
  }

  /** Returns the error in a form that can be sent; a repair is logged. */
  #sendable(call: ServerCall, error: MicroError): MicroError {
    const sendable = wellFormed(error);
    if (sendable !== error) {
      this.report(
        call,
        error,
        "a handler threw a malformed MicroError: its code must be one of gRPC's in lower case, its details { typeName, value }; the caller gets what is well formed",
      );
    }
    return sendable;
  }

  /** The caller receives a MicroError without its cause, which may contain secrets. */
  #logCause(call: ServerCall, error: MicroError): void {
    this.#write(
      faultsOfServers.has(error.code) ? "error" : "debug",
      { method: call.method.name, peer: call.peer.address, error: describe(error) },
      "a handler threw a MicroError with a cause, which is not sent",
    );
  }

  #of(call: ServerCall, reason: unknown, executed: boolean): MicroError {
    if (call.cancelled !== undefined) {
      this.#afterCancellation(call, call.cancelled, reason);
      return call.cancelled;
    }
    if (isMicroError(reason)) {
      const error = this.#sendable(call, reason);
      if (reason.cause !== undefined) this.#logCause(call, reason);
      return executed ? asExecuted(error) : error;
    }
    const foreign = fromForeignError(reason);
    if (foreign !== undefined) {
      if (losesDetails(reason)) {
        this.report(
          call,
          reason,
          "a handler threw a ConnectError whose details are not sent; throw a MicroError with details of { typeName, value } in its place",
        );
      }
      return foreign;
    }
    const hint = hintFor(reason);
    const incident = randomBytes(4).toString("hex");
    this.log(
      {
        method: call.method.name,
        peer: call.peer.address,
        incident,
        error: describe(reason),
        ...(hint === undefined ? {} : { hint }),
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

/** Describes a thrown value completely, including stack and causes. For logs only. */
export function describe(reason: unknown): string {
  try {
    return inspect(reason, { depth: 4 }).slice(0, longestDescription);
  } catch {
    return "a value that cannot be inspected";
  }
}

function isAbortError(reason: unknown): boolean {
  try {
    return reason instanceof Error && reason.name === "AbortError";
  } catch {
    return false;
  }
}

/**
 * A handler may pass on the `not-executed` error of a nested call. For this call that is wrong,
 * because the handler ran, and a client would retry it.
 */
function asExecuted(error: MicroError): MicroError {
  if (error.outcome === "executed") return error;
  return new MicroError(error.code, error.message, {
    outcome: "executed",
    details: error.details,
    ...(error.retryAfterMs === undefined ? {} : { retryAfterMs: error.retryAfterMs }),
  });
}
