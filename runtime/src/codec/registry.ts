import { MicroError } from "../base/error.ts";
import { bytesFormat } from "./bytes.ts";
import type { AnyCodec, Format } from "./codec.ts";
import { essence } from "./content-type.ts";
import { jsonFormat } from "./json.ts";
import { protobufFormat } from "./protobuf.ts";

/**
 * Finds the codec for a message known only by its type name and content type, such as a broker
 * message, a trace or a dead letter. Nothing registers itself: pass the `…Codecs` lists of
 * generated files.
 */
export class CodecRegistry {
  readonly #formats = new Map<string, Format>();
  readonly #types = new Map<string, AnyCodec>();

  /** @param formats default: protobuf, protobuf-JSON and bytes. */
  constructor(
    codecs: Iterable<AnyCodec> = [],
    formats: Iterable<Format> = [protobufFormat, jsonFormat, bytesFormat],
  ) {
    for (const format of formats) this.#formats.set(essence(format.contentType), format);
    this.add(codecs);
  }

  /** Adds message types. A type that is already present is replaced. */
  add(codecs: Iterable<AnyCodec>): this {
    for (const codec of codecs) this.#types.set(codec.typeName, codec);
    return this;
  }

  /** The names of the known message types. */
  get typeNames(): readonly string[] {
    return [...this.#types.keys()];
  }

  /** The format of a content type, such as `application/json; charset=utf-8`. */
  format(contentType: string): Format | undefined {
    return this.#formats.get(essence(contentType));
  }

  /**
   * The codec for a type in a content type.
   * @throws MicroError `unimplemented` that names the unknown type or content type.
   */
  codec(typeName: string, contentType: string): AnyCodec {
    const format = this.format(contentType);
    if (format === undefined) {
      throw new MicroError(
        "unimplemented",
        `no format for content type ${JSON.stringify(contentType)}; known: ${[...this.#formats.keys()].join(", ")}`,
        { outcome: "not-executed" },
      );
    }
    const codec = this.#types.get(typeName);
    if (codec === undefined) {
      throw new MicroError(
        "unimplemented",
        `no codec for message ${JSON.stringify(typeName)}; add the generated list of its file to the CodecRegistry`,
        { outcome: "not-executed" },
      );
    }
    return format.codecFor(codec);
  }
}
