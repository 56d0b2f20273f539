import {
  create,
  type DescMessage,
  fromBinary,
  isMessage,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from "@bufbuild/protobuf";
import type { Codec, Format } from "./codec.ts";
import { protobufContentType } from "./content-type.ts";
import { cannotDecode, cannotEncode, needsSchema } from "./errors.ts";

/**
 * The codec of a message in protobuf's binary format, driven by the descriptor (protobuf-es).
 * Generated files use it under `codec=reflect`.
 */
export function protobufCodec<Desc extends DescMessage>(
  schema: Desc,
): Codec<MessageShape<Desc>, MessageInitShape<Desc>> {
  return {
    typeName: schema.typeName,
    contentType: protobufContentType,
    schema,
    encode(message) {
      try {
        const complete = isMessage(message, schema) ? message : create(schema, message);
        return toBinary(schema, complete);
      } catch (cause) {
        throw cannotEncode(schema.typeName, cause);
      }
    },
    decode(bytes, copyBytes = false) {
      try {
        return fromBinary(schema, copyBytes ? new Uint8Array(bytes) : bytes);
      } catch (cause) {
        throw cannotDecode(`${bytes.length} bytes as ${schema.typeName}`, cause);
      }
    },
  };
}

/** Protobuf's binary format: the codecs that generated files export are already in it. */
export const protobufFormat: Format = {
  contentType: protobufContentType,
  codecFor(codec) {
    if (codec.contentType === protobufContentType) return codec;
    if (codec.schema === undefined) throw needsSchema(protobufContentType, codec.typeName);
    return protobufCodec(codec.schema) as unknown as typeof codec;
  },
};
