import { ScalarType } from "@bufbuild/protobuf";
import { literal } from "../emit/layout.ts";

/** How a scalar type is read and written. Enums are written as `int32`. */
export interface Scalar {
  /** The method of the reader and of the writer. */
  readonly method: string;
  readonly wireType: 0 | 1 | 2 | 5;
  /** The rest of the names of the functions for packed lists; undefined where a list cannot be packed. */
  readonly packed: string | undefined;
  readonly is64: boolean;
}

const number = (method: string, wireType: Scalar["wireType"], is64 = false): Scalar => ({
  method,
  wireType,
  packed: method.slice(0, 1).toUpperCase() + method.slice(1),
  is64,
});
const text = (method: string): Scalar => ({ method, wireType: 2, packed: undefined, is64: false });

const scalars: Record<ScalarType, Scalar> = {
  [ScalarType.DOUBLE]: number("double", 1),
  [ScalarType.FLOAT]: number("float", 5),
  [ScalarType.INT64]: number("int64", 0, true),
  [ScalarType.UINT64]: number("uint64", 0, true),
  [ScalarType.INT32]: number("int32", 0),
  [ScalarType.FIXED64]: number("fixed64", 1, true),
  [ScalarType.FIXED32]: number("fixed32", 5),
  [ScalarType.BOOL]: number("bool", 0),
  [ScalarType.STRING]: text("string"),
  [ScalarType.BYTES]: text("blob"),
  [ScalarType.UINT32]: number("uint32", 0),
  [ScalarType.SFIXED32]: number("sfixed32", 5),
  [ScalarType.SFIXED64]: number("sfixed64", 1, true),
  [ScalarType.SINT32]: number("sint32", 0),
  [ScalarType.SINT64]: number("sint64", 0, true),
};

export function scalar(type: ScalarType): Scalar {
  return scalars[type];
}

/** A field's number and wire type in one. */
export function tagOf(fieldNumber: number, wireType: number): number {
  return ((fieldNumber << 3) | wireType) >>> 0;
}

/** An expression that reads a value, behind its tag. */
export function readExpression(
  type: ScalarType,
  options: { utf8Validation: boolean; longAsString: boolean; reader?: string },
): string {
  const reader = options.reader ?? "reader";
  if (type === ScalarType.STRING && !options.utf8Validation) return `${reader}.uncheckedString()`;
  const value = `${reader}.${scalar(type).method}()`;
  return options.longAsString && scalar(type).is64 ? `String(${value})` : value;
}

/** The literal of the value that a scalar has where nothing is said; undefined for bytes. */
export function zeroLiteral(type: ScalarType, longAsString: boolean): string | undefined {
  switch (type) {
    case ScalarType.STRING:
      return '""';
    case ScalarType.BOOL:
      return "false";
    case ScalarType.BYTES:
      return undefined;
    default:
      if (!scalar(type).is64) return "0";
      return longAsString ? '"0"' : "0n";
  }
}

/** The literal of a default value that the schema gives; bytes excepted. */
export function defaultLiteral(value: string | number | bigint | boolean): string {
  if (typeof value === "string") return literal(value);
  if (typeof value === "bigint") return `${value}n`;
  if (typeof value === "boolean") return String(value);
  if (Number.isNaN(value)) return "Number.NaN";
  if (value === Number.POSITIVE_INFINITY) return "Number.POSITIVE_INFINITY";
  if (value === Number.NEGATIVE_INFINITY) return "Number.NEGATIVE_INFINITY";
  return Object.is(value, -0) ? "-0" : String(value);
}
