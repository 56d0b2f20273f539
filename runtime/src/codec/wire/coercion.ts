/**
 * Converts values that do not have a field's type. Like protobuf-es, codecs accept a numeric string
 * as a number, and a number or a string as a 64-bit integer; everything else is an error. These are
 * the slow paths: a value of the right type is recognized where it is written.
 */

export function int32Of(value: unknown): number {
  const number = numberOf(value);
  if ((number | 0) !== number) throw badValue("a 32-bit integer", value);
  return number;
}

export function uint32Of(value: unknown): number {
  const number = numberOf(value);
  if (number >>> 0 !== number) throw badValue("an unsigned 32-bit integer", value);
  return number;
}

export function doubleOf(value: unknown): number {
  const number = numberOf(value);
  if (Number.isNaN(number) && value !== "NaN") throw badValue("a number", value);
  return number;
}

export function int64Of(value: unknown): bigint {
  const integer = bigintOf(value);
  if (integer === undefined || BigInt.asIntN(64, integer) !== integer) {
    throw badValue("a 64-bit integer", value);
  }
  return integer;
}

export function uint64Of(value: unknown): bigint {
  const integer = bigintOf(value);
  if (integer === undefined || BigInt.asUintN(64, integer) !== integer) {
    throw badValue("an unsigned 64-bit integer", value);
  }
  return integer;
}

export function textOf(value: unknown): string {
  if (typeof value === "string") return value;
  if (typeof value === "number" || typeof value === "boolean" || typeof value === "bigint") {
    return String(value);
  }
  throw badValue("a string", value);
}

/** The bytes of a `bytes` field, which an initializer may give as an array of numbers. */
export function bytesOf(value: unknown): Uint8Array {
  if (value instanceof Uint8Array) return value;
  if (Array.isArray(value)) return new Uint8Array(value);
  // A Uint8Array of another realm, as in tests and workers.
  if (
    ArrayBuffer.isView(value) &&
    Object.prototype.toString.call(value) === "[object Uint8Array]"
  ) {
    return new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
  }
  throw badValue("a Uint8Array", value);
}

/** The key of a map with integer keys, from the name of the property that holds it. */
export function integerKey(key: string): number {
  const number = Number(key);
  if (String(number) !== key) throw badValue("a map with integers as keys", key);
  return number;
}

/** The key of a map with 64-bit keys. */
export function int64Key(key: string): bigint {
  if (!/^(0|-?[1-9]\d*)$/.test(key)) throw badValue("a map with integers as keys", key);
  return BigInt(key);
}

/** The key of a map with boolean keys. */
export function boolKey(key: string): boolean {
  if (key !== "true" && key !== "false") throw badValue("a map with booleans as keys", key);
  return key === "true";
}

/** The error of a value that its field cannot hold; the code that catches it adds the field. */
export function badValue(expected: string, value: unknown): TypeError {
  return new TypeError(`expected ${expected}, got ${described(value)}`);
}

function numberOf(value: unknown): number {
  if (typeof value === "number") return value;
  return typeof value === "string" && value.trim() !== "" ? Number(value) : Number.NaN;
}

function bigintOf(value: unknown): bigint | undefined {
  if (typeof value === "bigint") return value;
  if (typeof value !== "number" && typeof value !== "string") return undefined;
  try {
    return BigInt(value);
  } catch {
    return undefined;
  }
}

function described(value: unknown): string {
  if (typeof value === "string") return value.length > 40 ? "a string" : JSON.stringify(value);
  if (typeof value === "bigint") return `${value}n`;
  if (typeof value === "function" || typeof value === "symbol") return `a ${typeof value}`;
  if (typeof value !== "object" || value === null) return String(value);
  return Array.isArray(value) ? "an array" : "an object";
}
