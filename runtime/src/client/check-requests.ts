import { MicroError } from "../base/error.ts";
import type { MethodKind } from "../call/method.ts";

/** The error of a unary call without a request. */
export function noRequest(method: string, request: unknown): MicroError {
  return invalid(
    `${method} was called with ${describe(request)} in place of a request; pass an object, {} for an empty one`,
  );
}

/**
 * Validates the requests of a streaming call, which only untyped code can get wrong.
 * @throws MicroError `invalid_argument`, `not-executed`, that says what to pass.
 */
export function checkRequests(method: string, kind: MethodKind, requests: unknown): void {
  if (kind === "server_streaming") {
    const [request] = requests as readonly unknown[];
    if (typeof request !== "object" || request === null) throw noRequest(method, request);
    return;
  }
  if (isIterable(requests)) return;
  throw invalid(
    `${method} takes a stream of requests and was called with ${describe(requests)}; pass an array or an async iterable, [request] for a single one`,
  );
}

function isIterable(value: unknown): boolean {
  if (typeof value !== "object" || value === null) return false;
  const iterable = value as Partial<AsyncIterable<unknown> & Iterable<unknown>>;
  return (
    typeof iterable[Symbol.asyncIterator] === "function" ||
    typeof iterable[Symbol.iterator] === "function"
  );
}

function describe(value: unknown): string {
  if (value === undefined) return "nothing";
  if (value === null) return "null";
  return typeof value === "object" ? "a single object" : `a ${typeof value}`;
}

function invalid(message: string): MicroError {
  return new MicroError("invalid_argument", message, { outcome: "not-executed" });
}
