/** The gRPC status codes in lower case, in the order of their numbers, which start at 1. */
export const codes = [
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
] as const;

/**
 * The kind of an error: one of the gRPC status codes. They are the common vocabulary of the field,
 * so an error means the same over every protocol and from every interface of the runtime.
 */
export type Code = (typeof codes)[number];

/** The gRPC number of a code, from 1 (`canceled`) to 16 (`unauthenticated`). */
export function codeToNumber(code: Code): number {
  return codes.indexOf(code) + 1;
}

/** The code with this gRPC number; `unknown` for a number that gRPC does not define. */
export function codeFromNumber(number: number): Code {
  return codes[number - 1] ?? "unknown";
}

/** Whether a value is one of the {@link Code}s. */
export function isCode(value: unknown): value is Code {
  return (codes as readonly unknown[]).includes(value);
}
