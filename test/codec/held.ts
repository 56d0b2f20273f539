import { type DescField, type DescMessage, ScalarType } from "@bufbuild/protobuf";
import { BinaryReader, BinaryWriter, WireType } from "@bufbuild/protobuf/wire";

/** Bytes without what a message's object has no place for, and what that was. */
export interface Held {
  readonly bytes: Uint8Array;
  readonly lost: ReadonlySet<string>;
}

/**
 * Rewrites bytes to what the objects of protobuf-es can hold of them, by the descriptor alone and
 * with neither of the codecs that are compared. Objects have no place for three things: text that
 * is not UTF-8, where the schema allows it; values that are not JSON in a Struct that a field holds
 * as JSON; and unknown fields of a wrapper that a field holds as the bare value.
 *
 * @param bytes are well-formed: protoc reads them
 */
export function held(schema: DescMessage, bytes: Uint8Array): Held {
  const lost = new Set<string>();
  return { bytes: new Rewriter(lost).message(schema, bytes), lost };
}

const text = "text that is not UTF-8 becomes U+FFFD where the schema does not ask for UTF-8";
const json = "a Struct that is held as JSON has no unknown fields, and no Value without a kind";
const bare = "a wrapper that is held as a bare value has no unknown fields";

interface WireField {
  readonly no: number;
  readonly wireType: WireType;
  /** Tag and value, as they came. */
  readonly raw: Uint8Array;
  /** The bytes within the length or the group; the value for the other wire types. */
  readonly body: Uint8Array;
}

class Rewriter {
  readonly #lost: Set<string>;

  constructor(lost: Set<string>) {
    this.#lost = lost;
  }

  message(schema: DescMessage, bytes: Uint8Array): Uint8Array {
    const fields = new Map(schema.fields.map((field) => [field.number, field]));
    const writer = new BinaryWriter();
    for (const wire of wireFields(bytes)) {
      const field = fields.get(wire.no);
      writeField(writer, wire, field === undefined ? wire.body : this.#field(field, wire));
    }
    return writer.finish();
  }

  #field(field: DescField, wire: WireField): Uint8Array {
    if (field.fieldKind === "map") {
      return wire.wireType === WireType.LengthDelimited ? this.#entry(field, wire.body) : wire.body;
    }
    if (field.message === undefined) {
      return field.scalar === ScalarType.STRING ? this.#text(field, wire) : wire.body;
    }
    const delimited = "delimitedEncoding" in field && field.delimitedEncoding;
    if (wire.wireType !== (delimited ? WireType.StartGroup : WireType.LengthDelimited)) {
      return wire.body;
    }
    return this.#child(field, field.message, wire.body);
  }

  #child(field: DescField, message: DescMessage, body: Uint8Array): Uint8Array {
    if (message.typeName === "google.protobuf.Struct") {
      if (field.parent.typeName !== "google.protobuf.Value") return this.#struct(body);
    } else if (
      /^google\.protobuf\.\w+Value$/.test(message.typeName) &&
      message.fields.length === 1 &&
      field.fieldKind === "message" &&
      field.oneof === undefined
    ) {
      return this.#wrapper(message, body);
    }
    return this.message(message, body);
  }

  #entry(field: DescField & { fieldKind: "map" }, body: Uint8Array): Uint8Array {
    const wires = wireFields(body);
    const value = wires.findLast(({ no, wireType }) => no === 2 && wireType === WireType.Varint);
    if (field.mapKind === "enum" && !field.enum.open && value !== undefined) {
      const number = new BinaryReader(value.body).int32();
      // The whole entry is an unknown field then, and kept as it came.
      if (!field.enum.values.some((known) => known.number === number)) return body;
    }
    const writer = new BinaryWriter();
    for (const wire of wires) {
      let written = wire.body;
      if (wire.wireType === WireType.LengthDelimited) {
        const type = wire.no === 1 ? field.mapKey : wire.no === 2 ? field.scalar : undefined;
        if (type === ScalarType.STRING) written = this.#text(field, wire);
        else if (wire.no === 2 && field.message !== undefined) {
          written = this.#child(field, field.message, wire.body);
        }
      }
      writeField(writer, wire, written);
    }
    return writer.finish();
  }

  #text(field: DescField, { wireType, body }: WireField): Uint8Array {
    if (field.utf8Validation || wireType !== WireType.LengthDelimited) return body;
    const written = Buffer.from(new TextDecoder("utf-8", { ignoreBOM: true }).decode(body));
    if (written.equals(body)) return body;
    this.#lost.add(text);
    return written;
  }

  #wrapper(message: DescMessage, body: Uint8Array): Uint8Array {
    const isBytes = /\.(String|Bytes)Value$/.test(message.typeName);
    const is64 = /\.DoubleValue$/.test(message.typeName);
    const is32 = /\.FloatValue$/.test(message.typeName);
    const expected = isBytes
      ? WireType.LengthDelimited
      : is64
        ? WireType.Bit64
        : is32
          ? WireType.Bit32
          : WireType.Varint;
    const wires = wireFields(body);
    const kept = wires.filter(({ no, wireType }) => no === 1 && wireType === expected);
    if (kept.length < wires.length) this.#lost.add(bare);
    return Buffer.concat(kept.map(({ raw }) => raw));
  }

  /** A Struct: entries in field 1, and in these a key in field 1 and a Value in field 2. */
  #struct(body: Uint8Array): Uint8Array {
    const writer = new BinaryWriter();
    for (const wire of this.#only(body, (it) => it.no === 1)) {
      const entry = new BinaryWriter();
      let hasKind = false;
      const parts = this.#only(wire.body, ({ no }) => no === 1 || no === 2);
      for (const part of parts) {
        if (part.no === 1) {
          writeField(entry, part, part.body);
          continue;
        }
        const value = this.#value(part.body);
        hasKind ||= value.length > 0;
        writeField(entry, part, value);
      }
      if (!hasKind) this.#null(entry, 2);
      writeField(writer, wire, entry.finish());
    }
    return writer.finish();
  }

  /**
   * A Value: null in field 1, number 2, text 3, bool 4, Struct 5, list 6. Empty where it has none
   * of these.
   */
  #value(body: Uint8Array): Uint8Array {
    const wireTypes = [
      WireType.Varint,
      WireType.Bit64,
      WireType.LengthDelimited,
      WireType.Varint,
      WireType.LengthDelimited,
      WireType.LengthDelimited,
    ];
    const writer = new BinaryWriter();
    for (const wire of wireFields(body)) {
      if (wire.wireType !== wireTypes[wire.no - 1]) {
        this.#lost.add(json);
        continue;
      }
      let written = wire.body;
      if (wire.no === 1 && new BinaryReader(wire.body).int32() !== 0) {
        this.#lost.add(json);
        written = Uint8Array.of(0);
      } else if (wire.no === 5) written = this.#struct(wire.body);
      else if (wire.no === 6) written = this.#list(wire.body);
      writeField(writer, wire, written);
    }
    return writer.finish();
  }

  #list(body: Uint8Array): Uint8Array {
    const writer = new BinaryWriter();
    for (const wire of this.#only(body, ({ no }) => no === 1)) {
      const value = this.#value(wire.body);
      if (value.length > 0) writeField(writer, wire, value);
      else this.#null(writer, 1);
    }
    return writer.finish();
  }

  #null(writer: BinaryWriter, no: number): void {
    this.#lost.add(json);
    writer.tag(no, WireType.LengthDelimited).bytes(Uint8Array.of(8, 0));
  }

  /** The fields that are kept; all of a Struct's own have a length. */
  #only(body: Uint8Array, keep: (wire: WireField) => boolean): WireField[] {
    const wires = wireFields(body);
    const kept = wires.filter((wire) => wire.wireType === WireType.LengthDelimited && keep(wire));
    if (kept.length < wires.length) this.#lost.add(json);
    return kept;
  }
}

function wireFields(bytes: Uint8Array): WireField[] {
  const reader = new BinaryReader(bytes);
  const fields: WireField[] = [];
  while (reader.pos < reader.len) {
    const start = reader.pos;
    const [no, wireType] = reader.tag();
    let from = reader.pos;
    let to: number;
    if (wireType === WireType.StartGroup) to = groupEnd(reader);
    else {
      reader.skip(wireType, no);
      to = reader.pos;
      if (wireType === WireType.LengthDelimited) {
        from = to - new BinaryReader(bytes.subarray(from)).uint32();
      }
    }
    const raw = bytes.subarray(start, reader.pos);
    fields.push({ no, wireType, raw, body: bytes.subarray(from, to) });
  }
  return fields;
}

/** Moves behind a group, and returns where its end tag begins. */
function groupEnd(reader: BinaryReader): number {
  while (true) {
    const end = reader.pos;
    const [no, wireType] = reader.tag();
    if (wireType === WireType.EndGroup) return end;
    reader.skip(wireType, no);
  }
}

function writeField(writer: BinaryWriter, { no, wireType }: WireField, body: Uint8Array): void {
  writer.tag(no, wireType);
  if (wireType === WireType.LengthDelimited) writer.bytes(body);
  else writer.raw(body);
  if (wireType === WireType.StartGroup) writer.tag(no, WireType.EndGroup);
}
