import { type Code, codes, isCode } from "./codes.ts";
import { resembling } from "./suggest.ts";
import { durationInWords, oneOfInWords, valueInWords } from "./value-words.ts";

export { type Code, codeFromNumber, codeToNumber, isCode } from "./codes.ts";

/**
 * The known effect of a failed operation.
 *
 * - `not-executed`: it certainly had none (refused before it ran, never sent), so it is safe to
 *   repeat.
 * - `unknown`: it may have run, as when a connection broke after the request was sent.
 * - `executed`: it ran, and this error is its result.
 */
export type Outcome = "not-executed" | "unknown" | "executed";

/** A typed error detail, as in `google.rpc.Status`: a protobuf message with its full name. */
export interface ErrorDetail {
  /**
   * Full name of the message, such as `google.rpc.BadRequest`; no leading `type.googleapis.com/`.
   */
  readonly typeName: string;
  /** The message in protobuf's binary format. */
  readonly value: Uint8Array;
}

/** Properties of a {@link MicroError} in addition to its code and message. */
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
 * A {@link MicroError} without the check of its code. The codecs throw it directly, so that a
 * page's bundle with one codec carries no list of codes; for all other code it is a MicroError.
 */
export class UncheckedMicroError extends Error {
  readonly code: Code;
  readonly outcome: Outcome;
  readonly details: readonly ErrorDetail[];
  readonly retryAfterMs: number | undefined;

  constructor(code: Code, message: string, options?: MicroErrorOptions) {
    super(message, options);
    this.code = code;
    this.outcome = options?.outcome ?? "unknown";
    this.details = options?.details ?? noDetails;
    this.retryAfterMs = options?.retryAfterMs;
  }
}

Object.defineProperty(UncheckedMicroError.prototype, "name", { value: "MicroError" });
Object.defineProperty(UncheckedMicroError.prototype, brand, { value: true });

/**
 * The one error class of the runtime. Every failure, on either side of a call and in any interface,
 * is a MicroError; its message says what was attempted, on what, and what to do about it.
 *
 * A handler that throws it chooses what its caller sees. Anything else a handler throws reaches the
 * caller as `internal` without its message, because a message may hold secrets.
 *
 * @example
 * ```ts
 * import { MicroError } from "@micro-es/runtime";
 *
 * throw new MicroError("not_found", "there is no order 7");
 * ```
 */
export class MicroError extends UncheckedMicroError {
  /**
   * @throws TypeError for an unknown code or an invalid option, which only untyped code can pass.
   */
  constructor(code: Code, message: string, options?: MicroErrorOptions) {
    super(code, message, options);
    if (!isCode(code)) throw unknownCode(code, message);
    const fault = options === undefined ? undefined : faultOf(options);
    if (fault !== undefined) {
      throw new TypeError(`MicroError${fault} (its message: ${messageOf(message)})`);
    }
  }

  /** Also true for a MicroError from another copy of this package. */
  static override [Symbol.hasInstance](value: unknown): value is MicroError {
    return typeof value === "object" && value !== null && brand in value;
  }
}

const noDetails: readonly ErrorDetail[] = Object.freeze([]);

function unknownCode(code: unknown, message: unknown): TypeError {
  return new TypeError(
    `${describeValue(code)} is not a code of MicroError; use one of ${codes.join(", ")} (its message: ${messageOf(message)})`,
  );
}

const optionNames: readonly string[] = ["outcome", "details", "retryAfterMs", "cause"];

/**
 * The fault of invalid options, in the words of option-check.ts, which throws MicroErrors and is
 * built on this file.
 */
function faultOf(options: MicroErrorOptions): string | undefined {
  for (const name in options) {
    if (optionNames.includes(name)) continue;
    const meant = resembling(name, optionNames);
    if (meant !== undefined) return ` has no option ${name}; did you mean ${meant}?`;
  }
  const { outcome, retryAfterMs } = options;
  if (outcome !== undefined && !isOutcome(outcome)) {
    return `: outcome must be ${oneOfInWords(outcomes)}; got ${valueInWords(outcome)}`;
  }
  if (retryAfterMs !== undefined && !(typeof retryAfterMs === "number" && retryAfterMs >= 0)) {
    return `: retryAfterMs must be ${durationInWords(0)}; got ${valueInWords(retryAfterMs)}`;
  }
  return undefined;
}

function isDetail(value: unknown): value is ErrorDetail {
  if (typeof value !== "object" || value === null) return false;
  const { typeName, value: bytes } = value as Partial<ErrorDetail>;
  // Checked by its tag, because test runners have a Uint8Array of their own.
  return (
    typeof typeName === "string" && Object.prototype.toString.call(bytes) === "[object Uint8Array]"
  );
}

/** Whether a thrown value is a MicroError. Never throws, whatever the value is. */
export function isMicroError(value: unknown): value is MicroError {
  try {
    return value instanceof MicroError;
  } catch {
    return false;
  }
}

/**
 * A MicroError whose fields all have the right type, so that it can be sent. Returns the error
 * itself if it is well formed; otherwise a repaired copy: an unknown code becomes `internal`, and
 * malformed details are left out.
 */
export function wellFormed(error: MicroError): MicroError {
  try {
    if (isWellFormed(error)) return error;
  } catch {
    // The getter throws, so the copy leaves the field out.
  }
  const code = readField(() => error.code);
  const details = readField(() => Array.from(error.details, copyDetail));
  const outcome = readField(() => error.outcome);
  const retryAfterMs = readField(() => error.retryAfterMs);
  return new MicroError(isCode(code) ? code : "internal", messageOf(error), {
    outcome: isOutcome(outcome) ? outcome : "unknown",
    details: details?.filter((detail) => detail !== undefined) ?? [],
    ...(typeof retryAfterMs === "number" && retryAfterMs >= 0 && { retryAfterMs }),
    cause: error,
  });
}

function isWellFormed(error: MicroError): boolean {
  const { code, message, outcome, details, retryAfterMs } = error;
  return (
    isCode(code) &&
    typeof message === "string" &&
    isOutcome(outcome) &&
    Array.isArray(details) &&
    details.every(isSendableDetail) &&
    (retryAfterMs === undefined || typeof retryAfterMs === "number")
  );
}

const outcomes: readonly Outcome[] = ["not-executed", "unknown", "executed"];

/** Whether a value is one of the {@link Outcome}s. */
export function isOutcome(outcome: unknown): outcome is Outcome {
  return (outcomes as readonly unknown[]).includes(outcome);
}

const typeNamePattern = /^[A-Za-z_][\w.]*$/;

function isSendableDetail(detail: unknown): boolean {
  return isDetail(detail) && typeNamePattern.test(detail.typeName);
}

function copyDetail(detail: ErrorDetail): ErrorDetail | undefined {
  return readField(() =>
    isSendableDetail(detail)
      ? { typeName: detail.typeName, value: Uint8Array.from(detail.value) }
      : undefined,
  );
}

/** The value of a getter; undefined if it throws. */
function readField<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}

/**
 * The message of any thrown value. Unlike `String(reason)` it never throws, which matters for
 * values that come from a handler: a revoked proxy, an object without a prototype, a getter that
 * throws.
 */
export function messageOf(reason: unknown): string {
  try {
    return String(reason instanceof Error ? reason.message : reason);
  } catch {
    return "unreadable";
  }
}

/**
 * A thrown value that can be inspected and logged: the value itself, or an Error in its place if
 * reading the value throws, as with a revoked proxy.
 */
export function readableThrown(reason: unknown): unknown {
  try {
    if (!(reason instanceof Error)) {
      String(reason);
      return reason;
    }
    const { name, message, stack } = reason;
    if ([name, message, stack ?? ""].every((text) => typeof text === "string")) return reason;
  } catch {
    // The error below reports it.
  }
  return new Error(`a thrown value that cannot be read: ${messageOf(reason)}`);
}

function describeValue(value: unknown): string {
  return readField(() => JSON.stringify(value)) ?? messageOf(value);
}

/**
 * Converts any thrown value into a MicroError: a MicroError is returned as is, an `AbortError`
 * becomes `canceled`, a `TimeoutError` (of `AbortSignal.timeout`) `deadline_exceeded`, and anything
 * else the given code with the original as `cause`. It never throws, whatever the reason is; a
 * malformed MicroError is repaired ({@link wellFormed}).
 *
 * @example
 * ```ts
 * import { asMicroError } from "@micro-es/runtime";
 *
 * try {
 *   await fetch("http://127.0.0.1:1");
 * } catch (reason) {
 *   console.error(asMicroError(reason).code);
 * }
 * ```
 */
export function asMicroError(
  reason: unknown,
  code: Code = "unknown",
  options?: MicroErrorOptions,
): MicroError {
  if (isMicroError(reason)) return wellFormed(reason);
  const name = readField(() => (reason instanceof Error ? reason.name : undefined));
  const known =
    name === "AbortError" ? "canceled" : name === "TimeoutError" ? "deadline_exceeded" : code;
  return new MicroError(known, messageOf(reason), { cause: reason, ...options });
}
