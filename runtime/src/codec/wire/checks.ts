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

/** Refuses a message without a field that its type requires. */
export function required(): never {
  throw new TypeError("a required field is not set");
}
