import {
  type DescEnum,
  type DescField,
  type DescMessage,
  type JsonValue,
  ScalarType,
} from "@bufbuild/protobuf";

/** Maximum depth of nested messages; recursive messages would never end. */
const deepest = 4;

/** Maximum number of values in an example: nested messages grow exponentially. */
const maxValues = 2_000;

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

/**
 * A request with every field, as JSON, to be filled in. A oneof has its first member; a message
 * with thousands of fields, or of such messages, is truncated.
 */
export function exampleOf(desc: DescMessage): JsonValue {
  return messageExample(desc, { left: maxValues, depth: 0 });
}

/** The position in an example, and how many more values it may have. */
interface Room {
  left: number;
  depth: number;
}

function messageExample(desc: DescMessage, room: Room): JsonValue {
  const known = wellKnown[desc.typeName];
  if (known !== undefined) return known;
  const wrapped = /^google\.protobuf\.\w+Value$/.test(desc.typeName) ? desc.fields[0] : undefined;
  if (wrapped !== undefined) return exampleValue(wrapped, room);
  const example: [string, JsonValue][] = [];
  for (const member of desc.members) {
    const field = member.kind === "oneof" ? member.fields[0] : member;
    if (field === undefined || room.left-- <= 0) continue;
    example.push([field.jsonName, fieldExample(field, room)]);
  }
  // Unlike an assignment, this creates a property of every name, including `__proto__`.
  return Object.fromEntries(example);
}

function fieldExample(field: DescField, room: Room): JsonValue {
  if (field.fieldKind === "list") return room.depth >= deepest ? [] : [exampleValue(field, room)];
  if (field.fieldKind !== "map") return exampleValue(field, room);
  if (room.depth >= deepest) return {};
  const key =
    field.mapKey === ScalarType.STRING ? "key" : field.mapKey === ScalarType.BOOL ? "true" : "1";
  return { [key]: exampleValue(field, room) };
}

function exampleValue(field: DescField, room: Room): JsonValue {
  if (field.message !== undefined) {
    if (room.depth >= deepest) return {};
    room.depth++;
    const example = messageExample(field.message, room);
    room.depth--;
    return example;
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
