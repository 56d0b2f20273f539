import type { DescField, DescMessage } from "@bufbuild/protobuf";
import {
  type FieldFacts,
  type FieldTable,
  factsOfTable,
  type MessageSource,
} from "./field-table.ts";

/**
 * The cost of decoding the parts of a message, in sixteenths of an element. Measured with the
 * generated codecs and with protobuf-es, and rounded up to the more expensive of the two.
 */
export const elementCost = {
  element: 16,
  /**
   * In addition to its key and value: the object that holds a map becomes slower with each new
   * name.
   */
  numberedEntry: 24,
  namedEntry: 32,
  /** It is kept, in an object with a view of its bytes. */
  unknownField: 16,
  /** A string or bytes in a list. */
  text: 4,
  /** A bigint. */
  long: 4,
  /** A number or boolean, or any field without an object of its own. */
  value: 1,
} as const;

/** The wire types of protobuf's binary format. */
export const wire = {
  varint: 0,
  bit64: 1,
  lengthDelimited: 2,
  groupStart: 3,
  groupEnd: 4,
  bit32: 5,
} as const;

/** The properties of a message type that counting needs. */
export interface MessageType {
  /** The cost of a message of the type before its fields are read. */
  readonly cost: number;
  readonly fields: Map<number, FieldType>;
  /** The highest cost per byte of such a message; undefined until first computed. */
  perByte: number | undefined;
}

/** The properties of a field that counting needs. */
export interface FieldType {
  /** The wire type when it is not packed. */
  readonly wireType: number;
  /** Per occurrence, or per value if it is packed. */
  readonly cost: number;
  /** The size of a packed value in bytes; 0 for varints, undefined if values are not packed. */
  readonly packedBytes: number | undefined;
  readonly message: MessageType | undefined;
}

/**
 * The cost of a message of a type before its fields are read: it is created with all of its fields.
 */
export function messageCost({ fields }: DescMessage): number {
  return costOf(fields.length, fields.filter(isCollection).length);
}

const messageTypes = new WeakMap<MessageSource, MessageType>();

/** The type of the messages that a descriptor or a table describes. */
export function messageType(source: MessageSource): MessageType {
  let type = messageTypes.get(source);
  if (type === undefined) {
    const facts =
      typeof source.fields === "string"
        ? factsOfTable(source as FieldTable)
        : source.fields.map(factsOf);
    const collections = facts.filter(({ kind }) => kind === "list" || kind === "map").length;
    const cost = costOf(facts.length, collections);
    type = { cost, fields: new Map(), perByte: undefined };
    // Stored before its fields, because a type may contain itself.
    messageTypes.set(source, type);
    for (const field of facts) type.fields.set(field.number, fieldType(field));
  }
  return type;
}

function factsOf(field: DescField): FieldFacts {
  const isMap = field.fieldKind === "map";
  return {
    number: field.number,
    kind: isMap || field.fieldKind === "list" ? field.fieldKind : ownKind(field),
    scalar: field.scalar,
    isClosedEnum: field.enum !== undefined && !field.enum.open,
    isGroup: !isMap && field.message !== undefined && field.delimitedEncoding,
    mapKey: isMap ? field.mapKey : undefined,
    message: field.message,
  };
}

function ownKind({ oneof }: DescField): "oneof" | "singular" {
  return oneof === undefined ? "singular" : "oneof";
}

function isCollection({ fieldKind }: DescField): boolean {
  return fieldKind === "list" || fieldKind === "map";
}

function costOf(fields: number, collections: number): number {
  return Math.max(elementCost.element, 8 + 2 * fields + 4 * collections);
}

function fieldType(field: FieldFacts): FieldType {
  if (field.mapKey !== undefined) return mapType(field, field.mapKey);
  if (field.message !== undefined) {
    const message = messageType(field.message);
    return {
      wireType: field.isGroup ? wire.groupStart : wire.lengthDelimited,
      cost: message.cost,
      packedBytes: undefined,
      message,
    };
  }
  const scalar = scalarType(field.scalar);
  const inList = field.kind === "list";
  return {
    ...scalar,
    packedBytes: inList ? scalar.packedBytes : undefined,
    cost: field.isClosedEnum ? elementCost.unknownField : inList ? scalar.cost : ownCost(field),
  };
}

/**
 * The cost of a field that is neither a list nor a message. In a oneof its value is in an object,
 * and bytes are a view.
 */
function ownCost({ kind, scalar }: FieldFacts): number {
  if (kind === "oneof") return elementCost.text;
  return scalar === 12 ? 2 * elementCost.value : elementCost.value;
}

function mapType(field: FieldFacts, mapKey: number): FieldType {
  const named = scalarType(mapKey).packedBytes === undefined;
  const key: FieldType = { ...scalarType(mapKey), packedBytes: undefined };
  const message = field.message === undefined ? undefined : messageType(field.message);
  const value: FieldType =
    message === undefined
      ? { ...scalarType(field.scalar), packedBytes: undefined }
      : {
          wireType: wire.lengthDelimited,
          cost: elementCost.value,
          packedBytes: undefined,
          message,
        };
  const fields = new Map([
    [1, key],
    [2, value],
  ]);
  return {
    wireType: wire.lengthDelimited,
    // An entry has a value even if the message omits it.
    cost:
      (named ? elementCost.namedEntry : elementCost.numberedEntry) +
      (message === undefined ? 0 : message.cost),
    packedBytes: undefined,
    message: { cost: 0, fields, perByte: undefined },
  };
}

/** The type of a list's values, by its number in descriptor.proto; undefined stands for an enum. */
function scalarType(scalar: number | undefined): FieldType {
  const type = (wireType: number, cost: number, packedBytes: number | undefined) => ({
    wireType,
    cost,
    packedBytes,
    message: undefined,
  });
  switch (scalar) {
    case 1: // double
      return type(wire.bit64, elementCost.value, 8);
    case 2: // float
    case 7: // fixed32
    case 15: // sfixed32
      return type(wire.bit32, elementCost.value, 4);
    case 6: // fixed64
    case 16: // sfixed64
      return type(wire.bit64, elementCost.long, 8);
    case 3: // int64
    case 4: // uint64
    case 18: // sint64
      return type(wire.varint, elementCost.long, 0);
    case 9: // string
    case 12: // bytes
      return type(wire.lengthDelimited, elementCost.text, undefined);
    default:
      return type(wire.varint, elementCost.value, 0);
  }
}

/**
 * The highest cost per byte of a message of this type, including the messages that it may contain.
 */
export function costPerByte(type: MessageType): number {
  type.perByte ??= dearestByte(type);
  return type.perByte;
}

function dearestByte(type: MessageType): number {
  const seen = new Set<MessageType>();
  // A tag and a length or value take at least two bytes.
  let dearest = elementCost.unknownField / 2;
  const visit = (each: MessageType) => {
    if (seen.has(each)) return;
    seen.add(each);
    for (const { cost, packedBytes, message } of each.fields.values()) {
      dearest = Math.max(dearest, cost / (packedBytes === undefined ? 2 : packedBytes || 1));
      if (message !== undefined) visit(message);
    }
  };
  visit(type);
  return dearest;
}
