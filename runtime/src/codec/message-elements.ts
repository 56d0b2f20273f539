import type { DescMessage } from "@bufbuild/protobuf";
import { type MicroError, UncheckedMicroError } from "../base/error.ts";
import type { Codec } from "./codec.ts";
import { protobufContentType } from "./content-type.ts";
import { cannotDecode } from "./errors.ts";
import type { FileDescriptors } from "./file-descriptors.ts";
import {
  costPerByte,
  elementCost,
  type FieldType,
  type MessageType,
  messageType,
  wire,
} from "./message-type.ts";

/**
 * The default limit of the elements of a message. An element takes about 0.5 µs and a hundred bytes
 * to decode, so no message takes longer than some 150 ms.
 */
export const defaultMaxElements: number = 256 * 1024;

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
    const type = countedType(codec);
    if (type !== undefined) checkElements(codec.typeName, type, bytes, start, end, most);
  }
  return codec.decodeFrom === undefined
    ? codec.decode(view(bytes, start, end), copyBytes)
    : codec.decodeFrom(bytes, start, end, copyBytes);
}

/**
 * The type by which the elements of a codec's messages are counted; undefined for other formats,
 * and if nothing describes its fields.
 */
function countedType(codec: Codec<unknown, never>): MessageType | undefined {
  const schema = countedSchema(codec);
  if (schema !== undefined) return messageType(schema);
  const { file } = codec as typeof codec & { readonly file?: FileDescriptors | undefined };
  const table = file?.table(codec.typeName);
  return table === undefined ? undefined : messageType(table);
}

/**
 * The descriptor by which the elements of a codec's messages are counted; undefined for other
 * formats, and without a descriptor.
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
  checkElements(schema.typeName, messageType(schema), bytes, start, end, most);
}

function checkElements(
  typeName: string,
  type: MessageType,
  bytes: Uint8Array,
  start: number,
  end: number,
  most: number,
): void {
  if (elementsWithin(type, end - start) > most) {
    new Counter(typeName, bytes, start, end, most).count(type);
  }
}

/**
 * The most elements that a message of this size can have. If the type is unknown, every two bytes
 * count as an element, like an empty message of a type with few fields.
 */
export function elementsUpTo(schema: DescMessage | undefined, bytes: number): number {
  return schema === undefined ? Math.ceil(bytes / 2) : elementsWithin(messageType(schema), bytes);
}

function elementsWithin(type: MessageType, bytes: number): number {
  return Math.ceil((bytes * costPerByte(type)) / elementCost.element);
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
