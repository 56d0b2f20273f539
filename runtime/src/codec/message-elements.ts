import type { DescField, DescMessage } from "@bufbuild/protobuf";
import { type MicroError, UncheckedMicroError } from "../base/error.ts";
import type { Codec } from "./codec.ts";
import { protobufContentType } from "./content-type.ts";
import { cannotDecode } from "./errors.ts";

/**
 * The default limit of the elements of a message. An element takes about 0.5 µs and a hundred bytes
 * to decode, so no message takes longer than some 150 ms.
 */
export const defaultMaxElements: number = 256 * 1024;

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

/**
 * The cost of a message of a type before its fields are read: it is created with all of its fields.
 */
export function messageCost(schema: DescMessage): number {
  const collections = schema.fields.filter(isCollection).length;
  return Math.max(elementCost.element, 8 + 2 * schema.fields.length + 4 * collections);
}

/**
 * Decodes a message unless it has more elements than `most`: small parts of a message may take a
 * hundred times more memory as objects.
 *
 * @throws MicroError `resource_exhausted` when it has more; `invalid_argument` when the bytes are
 * not such a message
 */
export function decodeWithin<M>(
  codec: Codec<M, never>,
  bytes: Uint8Array,
  start: number,
  end: number,
  copyBytes: boolean,
  most: number,
): M {
  if (codec.decodeWithin !== undefined) return codec.decodeWithin(view(bytes, start, end), most);
  // A message this small cannot have too many, whatever its type.
  if (end - start > most >>> 6) {
    const schema = countedSchema(codec);
    if (schema !== undefined) checkMessageElements(schema, bytes, start, end, most);
  }
  return codec.decodeFrom === undefined
    ? codec.decode(view(bytes, start, end), copyBytes)
    : codec.decodeFrom(bytes, start, end, copyBytes);
}

/**
 * The type by which the elements of a codec's messages are counted; undefined for other formats,
 * and without a descriptor.
 */
export function countedSchema({
  schema,
  contentType,
}: Pick<Codec, "schema" | "contentType">): DescMessage | undefined {
  return contentType === protobufContentType ? schema : undefined;
}

/**
 * Checks the number of elements of a message in protobuf's binary format before it is decoded.
 * Scans only messages that are large enough to exceed the limit.
 *
 * @throws MicroError `resource_exhausted` when there are more than `most`; `invalid_argument` when
 * the bytes are not such a message.
 */
export function checkMessageElements(
  schema: DescMessage,
  bytes: Uint8Array,
  start: number,
  end: number,
  most: number,
): void {
  if (elementsUpTo(schema, end - start) > most) {
    new Counter(schema.typeName, bytes, start, end, most).count(messageType(schema));
  }
}

/**
 * The most elements that a message of this size can have. If the type is unknown, every two bytes
 * count as an element, like an empty message of a type with few fields.
 */
export function elementsUpTo(schema: DescMessage | undefined, bytes: number): number {
  if (schema === undefined) return Math.ceil(bytes / 2);
  const type = messageType(schema);
  type.perByte ??= dearestByte(type);
  return Math.ceil((bytes * type.perByte) / elementCost.element);
}

/**
 * As {@link checkMessageElements}, for any message, however small.
 *
 * @returns the number of elements
 */
export function countMessageElements(schema: DescMessage, bytes: Uint8Array, most: number): number {
  const counter = new Counter(schema.typeName, bytes, 0, bytes.length, most);
  return counter.count(messageType(schema));
}

/** The error of a message that has too many elements. */
export function tooManyElements(what: string, most: number): MicroError {
  return new UncheckedMicroError(
    "resource_exhausted",
    `${what} has more than ${most} elements (messages, list elements, map entries, unknown fields); send less at once, send a stream, or raise maxMessageElements of the receiver`,
  );
}

function view(bytes: Uint8Array, start: number, end: number): Uint8Array {
  // The fields of a message that is read from a Buffer would be Buffers.
  if (start === 0 && end === bytes.length && bytes.constructor === Uint8Array) return bytes;
  return new Uint8Array(bytes.buffer, bytes.byteOffset + start, end - start);
}

/** How deeply decoders follow nested messages, including the outermost one. */
const deepest = 100;

/** The properties of a message type that counting needs. */
interface MessageType {
  readonly fields: Map<number, FieldType>;
  /** The highest cost per byte of such a message; undefined until first computed. */
  perByte: number | undefined;
}

interface FieldType {
  /** The wire type when it is not packed. */
  readonly wireType: number;
  /** Per occurrence, or per value if it is packed. */
  readonly cost: number;
  /** The size of a packed value in bytes; 0 for varints, undefined if values are not packed. */
  readonly packedBytes: number | undefined;
  readonly message: MessageType | undefined;
}

const messageTypes = new WeakMap<DescMessage, MessageType>();

function messageType(schema: DescMessage): MessageType {
  let type = messageTypes.get(schema);
  if (type === undefined) {
    type = { fields: new Map(), perByte: undefined };
    // Stored before its fields, because a type may contain itself.
    messageTypes.set(schema, type);
    for (const field of schema.fields) type.fields.set(field.number, fieldType(field));
  }
  return type;
}

function fieldType(field: DescField): FieldType {
  if (field.fieldKind === "map") return mapType(field);
  if (field.message !== undefined) {
    return {
      wireType: field.delimitedEncoding ? wire.groupStart : wire.lengthDelimited,
      cost: messageCost(field.message),
      packedBytes: undefined,
      message: messageType(field.message),
    };
  }
  const scalar = scalarType(field.scalar);
  const inList = field.fieldKind === "list";
  const closed = field.enum !== undefined && !field.enum.open;
  return {
    ...scalar,
    packedBytes: inList ? scalar.packedBytes : undefined,
    cost: closed ? elementCost.unknownField : inList ? scalar.cost : ownCost(field),
  };
}

/**
 * The cost of a field that is neither a list nor a message. In a oneof its value is in an object,
 * and bytes are a view.
 */
function ownCost({ oneof, scalar }: DescField): number {
  if (oneof !== undefined) return elementCost.text;
  return scalar === 12 ? 2 * elementCost.value : elementCost.value;
}

function mapType(field: DescField & { fieldKind: "map" }): FieldType {
  const named = scalarType(field.mapKey).packedBytes === undefined;
  const key: FieldType = { ...scalarType(field.mapKey), packedBytes: undefined };
  const value: FieldType =
    field.message === undefined
      ? { ...scalarType(field.scalar), packedBytes: undefined }
      : {
          wireType: wire.lengthDelimited,
          cost: elementCost.value,
          packedBytes: undefined,
          message: messageType(field.message),
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
      (field.message === undefined ? 0 : messageCost(field.message)),
    packedBytes: undefined,
    message: { fields, perByte: undefined },
  };
}

function isCollection({ fieldKind }: DescField): boolean {
  return fieldKind === "list" || fieldKind === "map";
}

const wire = {
  varint: 0,
  bit64: 1,
  lengthDelimited: 2,
  groupStart: 3,
  groupEnd: 4,
  bit32: 5,
} as const;

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

/** Scans the bytes of one message, and throws once the cost exceeds the limit. */
class Counter {
  readonly #typeName: string;
  readonly #bytes: Uint8Array;
  readonly #start: number;
  readonly #end: number;
  readonly #most: number;
  #pos: number;
  #left: number;

  constructor(typeName: string, bytes: Uint8Array, start: number, end: number, most: number) {
    this.#typeName = typeName;
    this.#bytes = bytes;
    this.#start = start;
    this.#end = end;
    this.#most = most;
    this.#pos = start;
    this.#left = most * elementCost.element;
  }

  count(type: MessageType): number {
    this.#message(type, this.#end, deepest, 0);
    return this.#most - Math.floor(this.#left / elementCost.element);
  }

  /** Scans up to `end`, or past the end of `group` if that is not 0. */
  #message({ fields }: MessageType, end: number, depth: number, group: number): void {
    while (this.#pos < end) {
      const tag = this.#varint();
      const wireType = tag & 7;
      const number = tag >>> 3;
      if (wireType === wire.groupEnd) {
        if (group === 0 || number !== group) throw this.#malformed();
        return;
      }
      const field = fields.get(number);
      if (field === undefined) {
        this.#take(elementCost.unknownField);
        this.#skip(tag, end, depth);
      } else if (wireType === field.wireType) {
        this.#take(field.cost);
        this.#value(field, tag, end, depth);
      } else if (wireType === wire.lengthDelimited && field.packedBytes !== undefined) {
        this.#packed(field, end);
      } else {
        // Decoders interpret it differently; the remaining bytes may cost as much as anything.
        this.#take(elementCost.unknownField + (end - this.#pos) * (elementCost.element / 2));
        this.#skip(tag, end, depth);
      }
    }
    if (this.#pos !== end || group !== 0) throw this.#malformed();
  }

  #value({ message }: FieldType, tag: number, end: number, depth: number): void {
    // Decoders reject messages that are nested too deeply.
    if (message === undefined || depth <= 1) this.#skip(tag, end, depth);
    else if ((tag & 7) === wire.groupStart) this.#message(message, end, depth - 1, tag >>> 3);
    else this.#message(message, this.#lengthEnd(end), depth - 1, 0);
  }

  #packed({ cost, packedBytes }: FieldType, end: number): void {
    const stop = this.#lengthEnd(end);
    if (packedBytes) this.#take(((stop - this.#pos) / packedBytes) * cost);
    else {
      let count = 0;
      for (let at = this.#pos; at < stop; at++) if (this.#bytes[at]! < 0x80) count++;
      this.#take(count * cost);
    }
    this.#pos = stop;
  }

  #skip(tag: number, end: number, depth: number): void {
    switch (tag & 7) {
      case wire.varint:
        this.#varint();
        return;
      case wire.bit64:
        this.#pos += 8;
        return;
      case wire.bit32:
        this.#pos += 4;
        return;
      case wire.lengthDelimited:
        this.#pos = this.#lengthEnd(end);
        return;
      case wire.groupStart:
        this.#skipGroup(tag >>> 3, end, depth - 1);
        return;
      default:
        throw this.#malformed();
    }
  }

  #skipGroup(group: number, end: number, depth: number): void {
    if (depth <= 0) throw this.#malformed();
    while (this.#pos < end) {
      const tag = this.#varint();
      if ((tag & 7) === wire.groupEnd && tag >>> 3 === group) return;
      this.#skip(tag, end, depth);
    }
    throw this.#malformed();
  }

  #lengthEnd(end: number): number {
    const length = this.#varint();
    const stop = this.#pos + length;
    if (stop > end) throw this.#malformed();
    return stop;
  }

  /** The low 32 bits of a varint. */
  #varint(): number {
    const bytes = this.#bytes;
    let byte = bytes[this.#pos++]!;
    if (byte < 0x80) return byte;
    let value = byte & 0x7f;
    for (let shift = 7; shift < 70; shift += 7) {
      byte = bytes[this.#pos++]!;
      if (shift < 32) value |= (byte & 0x7f) << shift;
      if (byte < 0x80 && this.#pos <= this.#end) return value >>> 0;
    }
    throw this.#malformed();
  }

  #take(cost: number): void {
    this.#left -= cost;
    if (this.#left < 0) {
      throw tooManyElements(
        `a message ${this.#typeName} of ${this.#end - this.#start} bytes`,
        this.#most,
      );
    }
  }

  #malformed(): MicroError {
    const at = Math.min(this.#pos, this.#end) - this.#start;
    return cannotDecode(
      `${this.#end - this.#start} bytes as ${this.#typeName}, at byte ${at}`,
      "the field is malformed",
    );
  }
}
