import {
  type DescEnum,
  type DescField,
  type DescMessage,
  type JsonValue,
  ScalarType,
} from "@bufbuild/protobuf";

/** How deep messages in messages are shown; one that holds itself would never end. */
const deepest = 4;

/** Messages whose JSON form is not that of their fields. */
const wellKnown: Readonly<Record<string, JsonValue>> = {
  "google.protobuf.Any": { "@type": "type.googleapis.com/…" },
  "google.protobuf.Duration": "1.5s",
  "google.protobuf.Empty": {},
  "google.protobuf.FieldMask": "field,another.field",
  "google.protobuf.ListValue": [],
  "google.protobuf.Struct": {},
  "google.protobuf.Timestamp": "2026-01-31T12:00:00Z",
  "google.protobuf.Value": "any JSON",
};

/** A request with every field in it, in JSON, to be filled in. Of a oneof it has the first member. */
export function exampleOf(desc: DescMessage, depth = 0): JsonValue {
  const known = wellKnown[desc.typeName];
  if (known !== undefined) return known;
  const wrapped = /^google\.protobuf\.\w+Value$/.test(desc.typeName) ? desc.fields[0] : undefined;
  if (wrapped !== undefined) return exampleValue(wrapped, depth);
  const example: Record<string, JsonValue> = {};
  for (const member of desc.members) {
    const field = member.kind === "oneof" ? member.fields[0] : member;
    if (field !== undefined) example[field.jsonName] = fieldExample(field, depth);
  }
  return example;
}

function fieldExample(field: DescField, depth: number): JsonValue {
  if (field.fieldKind === "list") return depth >= deepest ? [] : [exampleValue(field, depth)];
  if (field.fieldKind !== "map") return exampleValue(field, depth);
  if (depth >= deepest) return {};
  const key =
    field.mapKey === ScalarType.STRING ? "key" : field.mapKey === ScalarType.BOOL ? "true" : "1";
  return { [key]: exampleValue(field, depth) };
}

function exampleValue(field: DescField, depth: number): JsonValue {
  if (field.message !== undefined) {
    return depth >= deepest ? {} : exampleOf(field.message, depth + 1);
  }
  if (field.enum !== undefined) return enumExample(field.enum);
  return scalarExample(field.scalar);
}

function enumExample(desc: DescEnum): string {
  return (desc.values.find(({ number }) => number !== 0) ?? desc.values[0])?.name ?? "";
}

function scalarExample(type: ScalarType | undefined): JsonValue {
  switch (type) {
    case ScalarType.STRING:
      return "";
    case ScalarType.BYTES:
      return "";
    case ScalarType.BOOL:
      return false;
    case ScalarType.INT64:
    case ScalarType.UINT64:
    case ScalarType.SINT64:
    case ScalarType.FIXED64:
    case ScalarType.SFIXED64:
      return "0";
    default:
      return 0;
  }
}
