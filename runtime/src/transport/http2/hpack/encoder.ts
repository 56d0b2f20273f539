import { MicroError } from "../../../base/error.ts";
import { DynamicTable } from "./dynamic-table.ts";
import { isFieldName, isFieldValue } from "./field-characters.ts";
import type { HeaderField } from "./header-field.ts";
import type { HeaderTemplate } from "./header-template.ts";
import { encodeHuffman, huffmanLength } from "./huffman.ts";
import { type Indexing, indexingOf, NameHistory } from "./indexing.ts";
import { staticFields, staticNames } from "./static-table.ts";

/** The most that this side uses of the table that the peer allows, in bytes. */
const maxTableBytes = 4096;

/** A longer string is sent as it is: coding it costs more time than its bytes are worth. */
const maxCodedChars = 64;

/** The most names whose history is kept; fields with other names are not indexed. */
const maxNames = 256;

/** The most templates whose encoding is kept. */
const maxTemplates = 64;

/** The most places of a list whose fields are remembered. */
const maxRecent = 16;

/** The encoding of a template, as long as the table does not change. */
interface EncodedTemplate {
  readonly bytes: Uint8Array;
  readonly added: number;
}

/** A field that was in the table when a block was encoded, until the table changes. */
interface IndexedField {
  readonly field: HeaderField;
  readonly history: NameHistory;
  readonly index: number;
  readonly added: number;
}

/** Encodes header blocks (RFC 7541). */
export class HpackEncoder {
  readonly #table = new DynamicTable(maxTableBytes);
  readonly #names = new Map<string, NameHistory>();
  readonly #templates = new Map<HeaderTemplate, EncodedTemplate>();
  /** Fields of the last lists by place: those of the next list are often the same objects. */
  readonly #recent = new Array<IndexedField | undefined>(maxRecent).fill(undefined);
  /** The smallest size that the table had since the last block, if it has changed. */
  #smallestSize: number | undefined;
  #out: Buffer = Buffer.allocUnsafeSlow(1024);
  #at = 0;

  /** The bytes of the last block, from 0 to the returned length. Valid until the next block. */
  get bytes(): Uint8Array {
    return this.#out;
  }

  /** Handles the size of the table that the peer's SETTINGS allow. */
  allowTableBytes(bytes: number): void {
    this.#resize(Math.min(bytes, maxTableBytes));
  }

  /**
   * Encodes a header list, a template followed by fields, and returns the length of the block. A
   * block must be sent, and in this order.
   *
   * @throws MicroError `invalid_argument` for a field with characters that it must not have. The
   * block is then not sent.
   */
  encode(template: HeaderTemplate | undefined, fields: readonly HeaderField[]): number {
    this.#at = 0;
    try {
      if (this.#smallestSize !== undefined) this.#sendSize();
      if (template !== undefined) this.#template(template);
      for (let place = 0; place < fields.length; place++) this.#listed(fields[place]!, place);
    } catch (error) {
      this.forget();
      throw error;
    }
    return this.#at;
  }

  /**
   * Empties both sides' tables with the next block: the last one was not sent, and may have added
   * fields.
   */
  forget(): void {
    const { maxBytes } = this.#table;
    this.#resize(0);
    this.#resize(maxBytes);
  }

  #resize(bytes: number): void {
    if (bytes === this.#table.maxBytes && this.#smallestSize === undefined) return;
    this.#table.resize(bytes);
    this.#evictFor(0);
    this.#templates.clear();
    this.#recent.fill(undefined);
    this.#smallestSize = Math.min(this.#smallestSize ?? bytes, bytes);
  }

  /** Sends the smallest and then the present size of the table (RFC 7541 section 4.2). */
  #sendSize(): void {
    const { maxBytes } = this.#table;
    if (this.#smallestSize! < maxBytes) this.#integer(0x20, 0x1f, this.#smallestSize!);
    this.#integer(0x20, 0x1f, maxBytes);
    this.#smallestSize = undefined;
  }

  #template(template: HeaderTemplate): void {
    const encoded = this.#templates.get(template);
    if (encoded !== undefined && encoded.added === this.#table.added) {
      this.#reserve(encoded.bytes.length);
      this.#out.set(encoded.bytes, this.#at);
      this.#at += encoded.bytes.length;
      return;
    }
    const start = this.#at;
    const { added } = this.#table;
    for (const field of template.fields) this.#field(field);
    // Fields that were just added are a single byte next time.
    if (this.#table.added !== added) return;
    if (this.#templates.size === maxTemplates) this.#templates.clear();
    this.#templates.set(template, {
      bytes: Uint8Array.from(this.#out.subarray(start, this.#at)),
      added,
    });
  }

  #listed(field: HeaderField, place: number): void {
    const recent = this.#recent[place];
    if (recent !== undefined && recent.field === field && recent.added === this.#table.added) {
      recent.history.hits++;
      this.#integer(0x80, 0x7f, recent.index);
      return;
    }
    const history = this.#field(field);
    if (history === undefined || place >= maxRecent) return;
    const { added } = this.#table;
    const index = this.#indexOf(history.values.get(field.value)!);
    this.#recent[place] = { field, history, index, added };
  }

  /** Encodes a field. Returns the history of its name if it was in the dynamic table already. */
  #field(field: HeaderField): NameHistory | undefined {
    const { name, value } = field;
    const known = staticNames.get(name);
    const staticIndex = known?.values.get(value);
    if (staticIndex !== undefined) {
      this.#integer(0x80, 0x7f, staticIndex);
      return undefined;
    }
    const indexing = field.isSensitive ? "never" : indexingOf(name, value);
    const history = this.#names.get(name);
    if (indexing !== "never" && history !== undefined) {
      const number = history.values.get(value);
      if (number !== undefined) {
        history.hits++;
        this.#integer(0x80, 0x7f, this.#indexOf(number));
        return history;
      }
    }
    this.#literal(field, indexing, known?.index, history);
    return undefined;
  }

  #literal(
    field: HeaderField,
    indexing: Indexing,
    staticIndex: number | undefined,
    known: NameHistory | undefined,
  ): void {
    const { name, value, size } = field;
    if (!isFieldName(name) || !isFieldValue(value)) throw invalidField(name);
    let history = known;
    if (history === undefined && indexing !== "never" && this.#names.size < maxNames) {
      history = new NameHistory();
      this.#names.set(name, history);
    }
    const adds = history?.mayAdd(indexing, staticIndex !== undefined) && this.#table.holds(size);
    // Before the field is added: the index is that of the table without it, and with what the
    // peer evicts only afterwards.
    const nameIndex =
      staticIndex ?? (known?.newest === undefined ? 0 : this.#indexOf(known.newest));
    if (adds) this.#integer(0x40, 0x3f, nameIndex);
    else this.#integer(indexing === "never" ? 0x10 : 0, 0x0f, nameIndex);
    if (nameIndex === 0) this.#string(name);
    this.#string(value);
    if (adds) this.#add(field, history!);
  }

  #add(field: HeaderField, history: NameHistory): void {
    this.#evictFor(field.size);
    history.add(field.value, this.#table.added);
    this.#table.add(field);
  }

  #evictFor(bytes: number): void {
    const table = this.#table;
    while (table.isFull(bytes)) {
      const number = table.added - table.length;
      const { name, value } = table.evict();
      this.#names.get(name)?.remove(value, number);
    }
  }

  /** The index of the field that was added as this number. */
  #indexOf(number: number): number {
    return staticFields + this.#table.added - number;
  }

  #integer(flags: number, prefix: number, value: number): void {
    this.#reserve(6);
    const out = this.#out;
    if (value < prefix) {
      out[this.#at++] = flags | value;
      return;
    }
    out[this.#at++] = flags | prefix;
    let left = value - prefix;
    for (; left >= 0x80; left >>>= 7) out[this.#at++] = (left & 0x7f) | 0x80;
    out[this.#at++] = left;
  }

  #string(text: string): void {
    const { length } = text;
    const coded = length <= maxCodedChars ? huffmanLength(text) : length;
    if (coded < length) {
      this.#integer(0x80, 0x7f, coded);
      this.#reserve(coded);
      this.#at = encodeHuffman(text, this.#out, this.#at);
      return;
    }
    this.#integer(0, 0x7f, length);
    this.#reserve(length);
    this.#at += this.#out.write(text, this.#at, "latin1");
  }

  #reserve(bytes: number): void {
    const needed = this.#at + bytes;
    if (needed <= this.#out.length) return;
    const grown = Buffer.allocUnsafeSlow(Math.max(needed, this.#out.length * 2));
    grown.set(this.#out.subarray(0, this.#at));
    this.#out = grown;
  }
}

function invalidField(name: string): MicroError {
  return new MicroError(
    "invalid_argument",
    `the header ${JSON.stringify(name.slice(0, 64))} has a character that HTTP does not allow`,
    { outcome: "not-executed" },
  );
}
