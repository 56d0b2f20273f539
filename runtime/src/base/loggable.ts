import { MicroError } from "./error.ts";

/** The most errors of a cause chain that are written. */
const maxCauses = 5;
/** The longest stack that is written, in characters. */
const maxStack = 8_192;

/**
 * A replacer for `JSON.stringify` that makes errors and big integers readable; JSON otherwise drops
 * or rejects them.
 */
export function toLoggable(_key: string, value: unknown): unknown {
  if (typeof value === "bigint") return value.toString();
  if (value instanceof Error) {
    return readableError(value, maxCauses, !(value instanceof MicroError));
  }
  return value;
}

/**
 * An error with its causes. The code and message of a {@link MicroError} say what happened; other
 * errors are written with their stacks.
 */
function readableError(
  error: Error,
  left: number,
  withStacks: boolean,
): Readonly<Record<string, unknown>> {
  const { name, message, stack, cause } = error;
  return {
    name,
    ...("code" in error ? { code: error.code } : {}),
    message,
    ...(withStacks && stack !== undefined ? { stack: stack.slice(0, maxStack) } : {}),
    ...(cause === undefined ? {} : { cause: readableCause(cause, left - 1, withStacks) }),
  };
}

function readableCause(cause: unknown, left: number, withStacks: boolean): unknown {
  if (!(cause instanceof Error)) return cause;
  return left > 0 ? readableError(cause, left, withStacks) : `${cause.name}: ${cause.message}`;
}
