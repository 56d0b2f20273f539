import {
  create,
  type DescMessage,
  fromJsonString,
  isMessage,
  type Registry,
  toJsonString,
} from "@bufbuild/protobuf";
import { isMicroError } from "../base/error.ts";
import type { AnyCodec, Codec, Format } from "./codec.ts";
import { jsonContentType } from "./content-type.ts";
import { cannotDecode, cannotEncode, needsSchema } from "./errors.ts";
import { exactJson } from "./exact-json.ts";
import { defaultMaxElements } from "./message-elements.ts";

const decoder = new TextDecoder("utf-8", { fatal: true });
const encoder = new TextEncoder();

/** Options of {@link jsonFormatWith}. */
export interface JsonFormatOptions {
  /** Types that a `google.protobuf.Any` may hold. Without it an Any cannot be written as JSON. */
  readonly registry?: Registry;
  /**
   * Whether to skip a member that the schema does not have; otherwise it is an error. Default true.
   */
  readonly ignoreUnknownFields?: boolean;
}

/**
 * Protobuf's JSON mapping (ProtoJSON), with options. Unknown members are skipped by default,
 * because a newer sender must not break an older receiver.
 */
export function jsonFormatWith(options: JsonFormatOptions = {}): Format {
  const known = new WeakMap<DescMessage, AnyCodec>();
  return {
    contentType: jsonContentType,
    codecFor<M, I>(codec: Codec<M, I>): Codec<M, I> {
      if (codec.schema === undefined) throw needsSchema(jsonContentType, codec.typeName);
      let json = known.get(codec.schema);
      if (json === undefined) {
        json = jsonCodec(codec.schema, options);
        known.set(codec.schema, json);
      }
      return json;
    },
  };
}

/** Protobuf's JSON mapping with its defaults: unknown members are skipped, no types for Any. */
export const jsonFormat: Format = jsonFormatWith();

function jsonCodec(schema: DescMessage, options: JsonFormatOptions): AnyCodec {
  const registry = options.registry;
  const writeOptions = registry === undefined ? {} : { registry };
  const readOptions = {
    ...writeOptions,
    ignoreUnknownFields: options.ignoreUnknownFields ?? true,
  };
  return {
    typeName: schema.typeName,
    contentType: jsonContentType,
    schema,
    encode(message) {
      try {
        const complete = isMessage(message, schema) ? message : create(schema, message);
        return encoder.encode(toJsonString(schema, complete, writeOptions));
      } catch (cause) {
        throw cannotEncode(`${schema.typeName} as JSON`, cause);
      }
    },
    decode: (bytes) => decodeWithin(bytes, defaultMaxElements),
    decodeWithin,
  };

  function decodeWithin(bytes: Uint8Array, maxElements: number): unknown {
    try {
      const text = exactJson(decoder.decode(bytes), schema, registry, maxElements);
      return fromJsonString(schema, text, readOptions);
    } catch (cause) {
      throw isMicroError(cause) ? cause : cannotDecode(`JSON as ${schema.typeName}`, cause);
    }
  }
}
