import type { AnyMethod } from "../call/method.ts";

/**
 * Checks that a handler's response can be a message of the method's output type: an object, and not
 * one of another type. The codec checks the fields.
 *
 * @throws TypeError that says what was returned instead, for the log.
 */
export function validateResponse(method: AnyMethod, answer: unknown): void {
  if (typeof answer !== "object" || answer === null) throw notAMessage(method, answer);
  const typeName = (answer as { readonly $typeName?: unknown }).$typeName;
  if (
    typeName !== undefined &&
    typeName !== method.output.typeName &&
    method.output.typeName !== ""
  ) {
    throw new TypeError(
      `the handler of ${method.name} answered with a ${String(typeName)} where ${method.output.typeName} is due`,
    );
  }
}

/**
 * The iterator of a streaming handler's result.
 * @throws TypeError that says what was returned instead, for the log.
 */
export function iteratorOf(method: AnyMethod, answers: unknown): AsyncIterator<unknown> {
  if (!isAsyncIterable(answers)) {
    throw new TypeError(
      `the handler of ${method.name} returned ${nameOf(answers)} where an async iterable is required; write it as "async *"`,
    );
  }
  const iterator: unknown = answers[Symbol.asyncIterator]();
  if (typeof (iterator as Partial<AsyncIterator<unknown>> | null)?.next !== "function") {
    throw new TypeError(`the handler of ${method.name} returned an iterable without an iterator`);
  }
  return iterator as AsyncIterator<unknown>;
}

function isAsyncIterable(value: unknown): value is AsyncIterable<unknown> {
  const iterable = value as Partial<AsyncIterable<unknown>> | null | undefined;
  return typeof iterable?.[Symbol.asyncIterator] === "function";
}

function notAMessage(method: AnyMethod, answer: unknown): TypeError {
  const type = method.output.typeName || "bytes";
  return new TypeError(
    `the handler of ${method.name} answered with ${nameOf(answer)} where ${type} is due; return {} for an empty message`,
  );
}

function nameOf(value: unknown): string {
  if (value === null) return "null";
  if (value instanceof Promise) return "a promise";
  if (Array.isArray(value)) return "an array";
  return typeof value === "undefined" ? "undefined" : `a value of type ${typeof value}`;
}
