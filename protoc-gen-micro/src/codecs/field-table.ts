import { type DescField, type DescMessage, ScalarType } from "@bufbuild/protobuf";
import { isDelimited, representation, wrappedType } from "./message-fields.ts";

/** The fields of a message as the runtime counts them. */
export interface FieldTable {
  /** The name of the message and its fields, as the runtime's `codec/field-table.ts` reads them. */
  readonly line: string;
  /** The types of the messages that the fields hold. */
  readonly nested: readonly DescMessage[];
}

/**
 * Describes the fields of a message briefly, so that the runtime can limit the elements of a
 * message without its descriptor.
 */
export function fieldTable(message: DescMessage): FieldTable {
  const nested: DescMessage[] = [];
  const fields = message.fields.map(
    (field) => `${field.number}${kindOf(field)}${contentOf(field, nested)}`,
  );
  return { line: [message.typeName, ...fields].join(" "), nested };
}

function kindOf(field: DescField): string {
  if (field.fieldKind === "map") return `{${field.mapKey}}`;
  if (field.fieldKind === "list") return "*";
  return field.oneof === undefined ? ":" : "|";
}

function contentOf(field: DescField, nested: DescMessage[]): string {
  if (field.message !== undefined) {
    const how = representation(field);
    if (how === "struct") return "s";
    if (how === "wrapped") return `w${wrappedType(field.message) ?? ScalarType.BYTES}`;
    nested.push(field.message);
    return `${isDelimited(field) ? "g" : "m"}${field.message.typeName}`;
  }
  if (field.enum !== undefined) return field.enum.open ? "e" : "c";
  return String(field.scalar);
}
