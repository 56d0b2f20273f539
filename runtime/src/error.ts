/**
 * What went wrong, as the gRPC status codes in lower case. They are the field's common vocabulary, so
 * an error means the same over every protocol and from every interface of the runtime.
 */
export type Code =
  | "canceled"
  | "unknown"
  | "invalid_argument"
  | "deadline_exceeded"
  | "not_found"
  | "already_exists"
  | "permission_denied"
  | "resource_exhausted"
  | "failed_precondition"
  | "aborted"
  | "out_of_range"
  | "unimplemented"
  | "internal"
  | "unavailable"
  | "data_loss"
  | "unauthenticated";

/** The codes in the order of their numbers in gRPC, which start at 1. */
const CODES: readonly Code[] = [
  "canceled",
  "unknown",
  "invalid_argument",
  "deadline_exceeded",
  "not_found",
  "already_exists",
  "permission_denied",
  "resource_exhausted",
  "failed_precondition",
  "aborted",
  "out_of_range",
  "unimplemented",
  "internal",
  "unavailable",
  "data_loss",
  "unauthenticated",
];

/** The number that gRPC gives to a code, from 1 (`canceled`) to 16 (`unauthenticated`). */
export function codeToNumber(code: Code): number {
  return CODES.indexOf(code) + 1;
}

/** The code with this gRPC number; `unknown` for a number that gRPC does not define. */
export function codeFromNumber(number: number): Code {
  return CODES[number - 1] ?? "unknown";
}

/** Whether a string is one of the {@link Code}s. */
export function isCode(text: string): text is Code {
  return (CODES as readonly string[]).includes(text);
}

/**
 * What is known about the effect of a failed operation.
 *
 * - `not-executed`: it certainly had none (refused before it ran, never sent), so it may be repeated freely.
 * - `unknown`: it may have run, as when a connection broke after the request was sent.
 * - `executed`: it ran and this error is its answer.
 */
export type Outcome = "not-executed" | "unknown" | "executed";

/** A typed error detail, as in `google.rpc.Status`: a protobuf message with its full name. */
export interface ErrorDetail {
  /** Full name of the message, such as `google.rpc.BadRequest`; no leading `type.googleapis.com/`. */
  readonly typeName: string;
  /** The message in protobuf's binary format. */
  readonly value: Uint8Array;
}

/** What may be said of a {@link MicroError} beside its code and message. */
export interface MicroErrorOptions {
  /** Default `unknown`. */
  readonly outcome?: Outcome;
  readonly details?: readonly ErrorDetail[];
  /** Wait at least this long before a retry; the server's push-back. */
  readonly retryAfterMs?: number;
  readonly cause?: unknown;
}

const brand: unique symbol = Symbol.for("micro-es.error");

/**
 * The one error class of the runtime. Everything that fails, on either side of a call or in any
 * interface, fails with it; its message says what was attempted, on what, and what to do about it.
 *
 * A handler that throws it chooses what its caller sees. Anything else a handler throws reaches the
 * caller as `internal` without its message, because a message may hold secrets.
 */
export class MicroError extends Error {
  readonly code: Code;
  readonly outcome: Outcome;
  readonly details: readonly ErrorDetail[];
  readonly retryAfterMs: number | undefined;

  constructor(code: Code, message: string, options?: MicroErrorOptions) {
    super(message, options?.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.outcome = options?.outcome ?? "unknown";
    this.details = options?.details ?? [];
    this.retryAfterMs = options?.retryAfterMs;
  }

  /** True for the MicroError of another copy of this package as well. */
  static override [Symbol.hasInstance](value: unknown): value is MicroError {
    return typeof value === "object" && value !== null && brand in value;
  }
}

Object.defineProperty(MicroError.prototype, "name", { value: "MicroError" });
Object.defineProperty(MicroError.prototype, brand, { value: true });

/**
 * Turns whatever was thrown into a MicroError: a MicroError stays itself, an `AbortError` becomes `canceled`, a
 * `TimeoutError` (of `AbortSignal.timeout`) `deadline_exceeded`, anything else the given code with the original as `cause`.
 */
export function asMicroError(
  reason: unknown,
  code: Code = "unknown",
  options?: MicroErrorOptions,
): MicroError {
  if (reason instanceof MicroError) return reason;
  if (reason instanceof Error) {
    const known =
      reason.name === "AbortError"
        ? "canceled"
        : reason.name === "TimeoutError"
          ? "deadline_exceeded"
          : code;
    return new MicroError(known, reason.message, { cause: reason, ...options });
  }
  return new MicroError(code, String(reason), { cause: reason, ...options });
}
