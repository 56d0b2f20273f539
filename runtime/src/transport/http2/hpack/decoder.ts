import { ConnectionError, errorCode } from "../error-code.ts";
import { DynamicTable } from "./dynamic-table.ts";
import { hasValueCharacters, isFieldName, isPadded, unpadded } from "./field-characters.ts";
import { HeaderField } from "./header-field.ts";
import { HeaderList } from "./header-list.ts";
import { decodeHuffman } from "./huffman.ts";
import { RepeatedBlocks } from "./repeated-blocks.ts";
import { staticFields, staticTable } from "./static-table.ts";

/** Limits of an {@link HpackDecoder}. */
export interface HpackLimits {
  /** Size of the dynamic table that this side announced, in bytes. */
  readonly maxTableBytes: number;
  /** The largest header list, counted as RFC 9113 section 6.5.2 does, in bytes. */
  readonly maxListBytes: number;
  /** The most fields of a header list. */
  readonly maxFields: number;
}

/** Bytes after the first one that an integer may have: enough for 28 bits. */
const maxIntegerBytes = 4;

/**
 * Decodes header blocks (RFC 7541). Its time is proportional to the bytes of a block, whatever they
 * refer to: fields of the tables are shared and not copied, and fields beyond a limit are read but
 * not kept.
 */
export class HpackDecoder {
  readonly #limits: HpackLimits;
  readonly #table: DynamicTable;
  readonly #repeated = new RepeatedBlocks();
  /** The block that is being decoded. */
  #bytes: Uint8Array = new Uint8Array(0);
  #at = 0;
  #end = 0;
  #tableChanged = false;
  /** Receives decoded Huffman strings. */
  #scratch: Buffer = Buffer.alloc(256);

  constructor(limits: HpackLimits) {
    this.#limits = limits;
    this.#table = new DynamicTable(limits.maxTableBytes);
  }

  /**
   * Decodes one complete block. Blocks must be decoded in the order of their arrival, even those
   * that are of no interest, because they change the dynamic table.
   *
   * @throws ConnectionError `COMPRESSION_ERROR` for a malformed block; the decoder is unusable
   * afterwards.
   */
  decode(bytes: Uint8Array, start: number, end: number): HeaderList {
    const repeated = this.#repeated.find(bytes, start, end);
    if (repeated !== undefined) return repeated;
    this.#bytes = bytes;
    this.#at = start;
    this.#end = end;
    this.#tableChanged = false;
    this.#resizeTable();
    const list = this.#fields();
    if (this.#tableChanged) this.#repeated.clear();
    else if (!list.isTooLarge && !list.fields.some(isSensitive)) {
      this.#repeated.add(bytes, start, end, list);
    }
    this.#bytes = empty;
    return list;
  }

  #fields(): HeaderList {
    const { maxListBytes, maxFields } = this.#limits;
    const fields: HeaderField[] = [];
    let size = 0;
    let isTooLarge = false;
    let isValid = true;
    while (this.#at < this.#end) {
      const field = this.#field();
      size += field.size;
      isTooLarge ||= size > maxListBytes || fields.length === maxFields;
      if (isTooLarge) continue;
      const kept = isPadded(field.value) ? withoutPadding(field) : field;
      fields.push(kept);
      isValid &&= kept.isValid;
    }
    return new HeaderList(fields, isTooLarge, isValid);
  }

  #field(): HeaderField {
    const first = this.#bytes[this.#at]!;
    if (first >= 0x80) return this.#indexed(this.#integer(0x7f));
    if (first >= 0x40) {
      const field = this.#literal(0x3f, false);
      this.#add(field);
      return field;
    }
    if (first >= 0x20) throw malformed("changes the size of the table after its first field");
    return this.#literal(0x0f, first >= 0x10);
  }

  #literal(prefix: number, isSensitive: boolean): HeaderField {
    const index = this.#integer(prefix);
    const name = index === 0 ? this.#string() : this.#indexed(index).name;
    const value = this.#string();
    const isValid = isFieldName(name) && hasValueCharacters(value);
    return new HeaderField(name, value, isSensitive, isValid);
  }

  #indexed(index: number): HeaderField {
    const field =
      index <= staticFields ? staticTable[index] : this.#table.get(index - staticFields - 1);
    if (field === undefined) throw malformed(`refers to field ${index}, which does not exist`);
    return field;
  }

  #add(field: HeaderField): void {
    this.#tableChanged = true;
    this.#evictFor(field.size);
    this.#table.add(field);
  }

  #evictFor(bytes: number): void {
    while (this.#table.isFull(bytes)) this.#table.evict();
  }

  /** Handles the changes of the table's size with which a block may begin. */
  #resizeTable(): void {
    while (this.#at < this.#end && (this.#bytes[this.#at]! & 0xe0) === 0x20) {
      const maxBytes = this.#integer(0x1f);
      if (maxBytes > this.#limits.maxTableBytes) {
        throw malformed(`sets the size of the table to ${maxBytes}, over its limit`);
      }
      this.#tableChanged = true;
      this.#table.resize(maxBytes);
      this.#evictFor(0);
    }
  }

  /** Reads an integer whose first byte has it in the bits of `prefix` (RFC 7541 section 5.1). */
  #integer(prefix: number): number {
    let value = this.#bytes[this.#at++]! & prefix;
    if (value < prefix) return value;
    for (let count = 0; count < maxIntegerBytes; count++) {
      if (this.#at === this.#end) throw malformed("ends within an integer");
      const byte = this.#bytes[this.#at++]!;
      value += (byte & 0x7f) << (7 * count);
      if (byte < 0x80) return value;
    }
    throw malformed("has an integer of more than 28 bits");
  }

  #string(): string {
    if (this.#at === this.#end) throw malformed("ends within a field");
    const isCoded = this.#bytes[this.#at]! >= 0x80;
    const length = this.#integer(0x7f);
    const start = this.#at;
    const end = start + length;
    if (end > this.#end) throw malformed("ends within a string");
    this.#at = end;
    if (!isCoded) return latin1(this.#bytes, start, end);
    // The shortest code has 5 bits.
    const most = (length * 8) / 5;
    if (most > this.#scratch.length) this.#scratch = Buffer.allocUnsafeSlow(Math.ceil(most) * 2);
    const decoded = decodeHuffman(this.#bytes, start, end, this.#scratch);
    if (decoded < 0) throw malformed("has a string with an invalid Huffman code");
    return this.#scratch.toString("latin1", 0, decoded);
  }
}

const empty = new Uint8Array(0);

/**
 * Removes the spaces at the ends of a value, which mean nothing and which gRPC's libraries send. A
 * pseudo-field is not valid with them.
 */
function withoutPadding({ name, value, isSensitive, isValid }: HeaderField): HeaderField {
  return new HeaderField(name, unpadded(value), isSensitive, isValid && !name.startsWith(":"));
}

/** A string up to this length is built faster here than by a call of the platform. */
const shortBytes = 8;

function latin1(bytes: Uint8Array, start: number, end: number): string {
  if (end - start > shortBytes) {
    return Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start).toString("latin1");
  }
  let text = "";
  for (let at = start; at < end; at++) text += String.fromCharCode(bytes[at]!);
  return text;
}

function isSensitive(field: HeaderField): boolean {
  return field.isSensitive;
}

function malformed(what: string): ConnectionError {
  return new ConnectionError(errorCode.compressionError, `a header block ${what}`);
}
