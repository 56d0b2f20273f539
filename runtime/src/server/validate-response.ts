import type { AnyMethod } from "../call/method.ts";

/**
 * Checks that a handler's response can be a message of the method's output type: an object, and not
 * one of another type. The codec checks the fields.
 *
 * @throws TypeError that says what was returned instead, for the log.
 */
export function validateResponse(method: AnyMethod, response: unknown): void {
  if (typeof response !== "object" || response === null) throw notAMessage(method, response);
  const typeName = (response as { readonly $typeName?: unknown }).$typeName;
  if (
    typeName !== undefined &&
    typeName !== method.output.typeName &&
    method.output.typeName !== ""
  ) {
    throw new TypeError(
      `the handler of ${method.name} returned a ${String(typeName)} where ${method.output.typeName} is required`,
    );
  }
}

/**
 * The iterator of a streaming handler's result.
 * @throws TypeError that says what was returned instead, for the log.
 */
export function iteratorOf(method: AnyMethod, responses: unknown): AsyncIterator<unknown> {
  if (!isAsyncIterable(responses)) {
    throw new TypeError(
      `the handler of ${method.name} returned ${nameOf(responses)} where an async iterable is required; write it as "async *"`,
    );
  }
  const iterator: unknown = responses[Symbol.asyncIterator]();
  if (typeof (iterator as Partial<AsyncIterator<unknown>> | null)?.next !== "function") {
    throw new TypeError(`the handler of ${method.name} returned an iterable without an iterator`);
  }
  return iterator as AsyncIterator<unknown>;
}

function isAsyncIterable(value: unknown): value is AsyncIterable<unknown> {
  const iterable = value as Partial<AsyncIterable<unknown>> | null | undefined;
  return typeof iterable?.[Symbol.asyncIterator] === "function";
}

function notAMessage(method: AnyMethod, response: unknown): TypeError {
  const type = method.output.typeName || "bytes";
  return new TypeError(
    `the handler of ${method.name} returned ${nameOf(response)} where ${type} is required; return {} for an empty message`,
  );
}

function nameOf(value: unknown): string {
  if (value === null) return "null";
  if (value instanceof Promise) return "a promise";
  if (Array.isArray(value)) return "an array";
  return typeof value === "undefined" ? "undefined" : `a value of type ${typeof value}`;
}
