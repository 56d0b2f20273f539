import { ScalarType } from "@bufbuild/protobuf";
import { literal } from "../emit/layout.ts";

/** How a scalar type is read and written. Enums are written as `int32`. */
export interface Scalar {
  /** The suffix of the names of the functions that read and write it. */
  readonly name: string;
  readonly wireType: 0 | 1 | 2 | 5;
  /** Whether lists may be packed. */
  readonly packable: boolean;
  readonly is64: boolean;
  /** The maximum size of a value in bytes; 0 for no maximum. */
  readonly most: number;
}

const number = (name: string, wireType: 0 | 1 | 5, most: number, is64 = false): Scalar => ({
  name,
  wireType,
  packable: true,
  is64,
  most,
});
const text = (name: string): Scalar => ({
  name,
  wireType: 2,
  packable: false,
  is64: false,
  most: 0,
});

const scalars: Record<ScalarType, Scalar> = {
  [ScalarType.DOUBLE]: number("Double", 1, 8),
  [ScalarType.FLOAT]: number("Float", 5, 4),
  [ScalarType.INT64]: number("Int64", 0, 10, true),
  [ScalarType.UINT64]: number("Uint64", 0, 10, true),
  [ScalarType.INT32]: number("Int32", 0, 10),
  [ScalarType.FIXED64]: number("Fixed64", 1, 8, true),
  [ScalarType.FIXED32]: number("Fixed32", 5, 4),
  [ScalarType.BOOL]: number("Bool", 0, 1),
  [ScalarType.STRING]: text("String"),
  [ScalarType.BYTES]: text("Bytes"),
  [ScalarType.UINT32]: number("Uint32", 0, 5),
  [ScalarType.SFIXED32]: number("Sfixed32", 5, 4),
  [ScalarType.SFIXED64]: number("Sfixed64", 1, 8, true),
  [ScalarType.SINT32]: number("Sint32", 0, 5),
  [ScalarType.SINT64]: number("Sint64", 0, 10, true),
};

export function scalar(type: ScalarType): Scalar {
  return scalars[type];
}

/** The tag of a field: its number and wire type. */
export function tagOf(fieldNumber: number, wireType: number): number {
  return ((fieldNumber << 3) | wireType) >>> 0;
}

/** The encoded bytes of a tag. */
export function tagBytes(tag: number): number[] {
  const bytes: number[] = [];
  let rest = tag;
  for (; rest > 0x7f; rest >>>= 7) bytes.push((rest & 0x7f) | 0x80);
  bytes.push(rest);
  return bytes;
}

/** The name of the function that reads a value after its tag. */
export function getter(type: ScalarType, utf8Validation: boolean): string {
  if (type === ScalarType.STRING && !utf8Validation) return "getUncheckedString";
  return `get${scalar(type).name}`;
}

/** The literal of the zero value of a scalar; undefined for bytes. */
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

/** The literal of a default value in the schema, except for bytes. */
export function defaultLiteral(value: string | number | bigint | boolean): string {
  if (typeof value === "string") return literal(value);
  if (typeof value === "bigint") return `${value}n`;
  if (typeof value === "boolean") return String(value);
  if (Number.isNaN(value)) return "Number.NaN";
  if (value === Number.POSITIVE_INFINITY) return "Number.POSITIVE_INFINITY";
  if (value === Number.NEGATIVE_INFINITY) return "Number.NEGATIVE_INFINITY";
  return Object.is(value, -0) ? "-0" : String(value);
}
