import { type DescField, type DescMessage, ScalarType } from "@bufbuild/protobuf";
import { Edition, FeatureSet_FieldPresence } from "@bufbuild/protobuf/wkt";
import { defaultLiteral, zeroLiteral } from "./scalars.ts";

/**
 * Whether the prototype of a message holds its defaults, which distinguishes a field set to its
 * default from an unset one. The rule is that of protobuf-es, because both create the same objects.
 */
export function hasPrototype(message: DescMessage): boolean {
  if (message.file.edition === Edition.EDITION_PROTO3) return false;
  if (message.file.edition === Edition.EDITION_PROTO2) return true;
  return message.fields.some(
    (field) => !isImplicit(field) && field.fieldKind !== "message" && field.oneof === undefined,
  );
}

export function isImplicit(field: DescField): boolean {
  return field.presence === FeatureSet_FieldPresence.IMPLICIT;
}

export function isRequired(field: DescField): boolean {
  return field.presence === FeatureSet_FieldPresence.LEGACY_REQUIRED;
}

/** The default of a scalar or enum field as a literal; undefined for bytes. */
export function defaultOf(field: DescField & { fieldKind: "scalar" | "enum" }): string | undefined {
  if (field.fieldKind === "enum") {
    return String(field.getDefaultValue() ?? field.enum.values[0]!.number);
  }
  const value = field.getDefaultValue();
  if (value === undefined || value instanceof Uint8Array) {
    return zeroLiteral(field.scalar, field.longAsString);
  }
  return field.longAsString ? defaultLiteral(String(value)) : defaultLiteral(value);
}

/** The default of a bytes field as an expression; undefined if it has none. */
export function defaultBytes(field: DescField): string | undefined {
  if (field.fieldKind !== "scalar" || field.scalar !== ScalarType.BYTES) return undefined;
  const value = field.getDefaultValue();
  if (!(value instanceof Uint8Array) || value.length === 0) return undefined;
  return `new Uint8Array([${value.join(", ")}])`;
}

/**
 * Whether every object inherits a property of this name, so that it seems set unless it is checked
 * to be own.
 */
export function isInherited(name: string): boolean {
  return name in Object.prototype;
}
