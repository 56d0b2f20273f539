import { badValue } from "./coercion.ts";

/**
 * Rejects a message of another type, which may have fields of the same names with another meaning.
 * An initializer has no type.
 */
export function checkType(message: { readonly $typeName?: string }, expected: string): void {
  if (message.$typeName !== expected) refuseOther(message.$typeName, expected);
}

function refuseOther(given: string | undefined, expected: string): void {
  if (given !== undefined) throw new TypeError(`expected a ${expected}, got a ${given}`);
}

/** The length of a list. Rejects non-arrays, which would otherwise look empty. */
export function lengthOf(list: { readonly length: number }): number {
  return list.length >= 0 ? list.length : refuseList(list);
}

function refuseList(given: object): never {
  throw badValue("a list", given);
}

/** Rejects a message without a field that its type requires. */
export function required(): never {
  throw new TypeError("a required field is not set");
}

/**
 * Whether a 64-bit integer is set and not 0, which is faster than comparing two bigints. A value
 * that is not a bigint is rejected later, when it is stored.
 */
export function isNonzero(value: unknown): boolean {
  return value ? true : value !== undefined && typeof value !== "bigint";
}
