import {
  create,
  type DescMessage,
  fromBinary,
  isMessage,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from "@bufbuild/protobuf";
import { MicroError } from "../error.ts";
import type { Codec, Format } from "./codec.ts";

/** The content type of protobuf's binary format. */
export const protobufContentType = "application/protobuf";

/**
 * The codec of a message in protobuf's binary format, which works from the descriptor (protobuf-es).
 * This is what generated files use under `codec=reflect`.
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
    decode(bytes) {
      try {
        return fromBinary(schema, bytes);
      } catch (cause) {
        throw new MicroError(
          "invalid_argument",
          `cannot decode ${bytes.length} bytes as ${schema.typeName}: ${reasonOf(cause)}`,
          { cause },
        );
      }
    },
  };
}

/** Protobuf's binary format: every codec that a generated file exports is in it already. */
export const protobufFormat: Format = {
  contentType: protobufContentType,
  codecFor(codec) {
    if (codec.contentType === protobufContentType) return codec;
    if (codec.schema === undefined) throw needsSchema(protobufContentType, codec.typeName);
    return protobufCodec(codec.schema) as unknown as typeof codec;
  },
};

/** The error of a message that cannot be written. */
export function cannotEncode(typeName: string, cause: unknown): MicroError {
  return new MicroError("invalid_argument", `cannot encode ${typeName}: ${reasonOf(cause)}`, {
    cause,
    outcome: "not-executed",
  });
}

/** The error of a format that is asked for a type it knows no descriptor of. */
export function needsSchema(contentType: string, typeName: string): MicroError {
  return new MicroError(
    "unimplemented",
    `${contentType} needs the descriptor of ${typeName || "an untyped message"}, and its codec has none`,
    { outcome: "not-executed" },
  );
}

function reasonOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
