import { create, toBinary } from "@bufbuild/protobuf";
import { type Empty, EmptySchema } from "@bufbuild/protobuf/wkt";

/**
 * Connect reads and writes messages itself, by their descriptors. Codecs here do that faster, keep what they
 * promise, and may have no descriptor; so in protobuf's binary format Connect is given messages of a type without
 * fields, and their whole content is one unknown field, which protobuf-es copies as it is.
 */
export const opaqueSchema: typeof EmptySchema = EmptySchema;

/** A message whose binary form is exactly these bytes, which must be a protobuf message. */
export function opaque(bytes: Uint8Array): Empty {
  const message = create(EmptySchema);
  if (bytes.length === 0) return message;
  let tag = 0;
  let at = 0;
  for (let shift = 0; shift < 35; shift += 7) {
    const byte = bytes[at++] ?? 0;
    tag += (byte & 0x7f) * 2 ** shift;
    if (byte < 0x80) break;
  }
  message.$unknown = [{ no: Math.floor(tag / 8), wireType: tag & 7, data: bytes.subarray(at) }];
  return message;
}

/** The binary form of a message that Connect has read as one without fields. */
export function bytesOf(message: Empty): Uint8Array {
  return toBinary(EmptySchema, message);
}
