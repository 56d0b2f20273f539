import { badValue } from "./coercion.ts";

/**
 * Refuses a message of another type, which may have fields of the same names with another meaning. An
 * initializer has no type.
 */
export function checkType(message: { readonly $typeName?: string }, expected: string): void {
  if (message.$typeName !== expected) refuseOther(message.$typeName, expected);
}

function refuseOther(given: string | undefined, expected: string): void {
  if (given !== undefined) throw new TypeError(`expected a ${expected}, got a ${given}`);
}

/** How many elements a list has. What is no list would seem to have none. */
export function lengthOf(list: { readonly length: number }): number {
  return list.length >= 0 ? list.length : refuseList(list);
}

function refuseList(given: object): never {
  throw badValue("a list", given);
}

/** Refuses a message without a field that its type requires. */
export function required(): never {
  throw new TypeError("a required field is not set");
}

/**
 * Whether a 64-bit integer is given and not 0, which is quicker to see than to compare two bigints. What is no bigint is
 * left to be refused by who stores it.
 */
export function isNonzero(value: unknown): boolean {
  return value ? true : value !== undefined && typeof value !== "bigint";
}
