import type { DescField, DescMessage, ScalarType } from "@bufbuild/protobuf";

/**
 * How a field of a message type holds its value: as the message, as the JSON object that a Struct
 * represents, or, for a singular wrapper outside a oneof, as the wrapped value.
 */
export function representation(field: DescField): "message" | "struct" | "wrapped" {
  if (field.message === undefined) return "message";
  if (
    field.message.typeName === "google.protobuf.Struct" &&
    field.parent.typeName !== "google.protobuf.Value"
  ) {
    return "struct";
  }
  const bare = field.fieldKind === "message" && field.oneof === undefined;
  return bare && wrappedType(field.message) !== undefined ? "wrapped" : "message";
}

/**
 * The type that a message of google/protobuf/wrappers.proto wraps; undefined for other messages.
 */
export function wrappedType(message: DescMessage): ScalarType | undefined {
  if (
    !/^google\.protobuf\.(Double|Float|U?Int(32|64)|Bool|String|Bytes)Value$/.test(message.typeName)
  ) {
    return undefined;
  }
  const [field] = message.fields;
  return field?.fieldKind === "scalar" && field.name === "value" && field.number === 1
    ? field.scalar
    : undefined;
}

/** Whether a field's messages end with a tag, as groups do, instead of beginning with a length. */
export function isDelimited(field: DescField): boolean {
  if (field.fieldKind === "message") return field.delimitedEncoding;
  return field.fieldKind === "list" && field.listKind === "message" && field.delimitedEncoding;
}
