import { create, toBinary } from "@bufbuild/protobuf";
import { type Empty, EmptySchema } from "@bufbuild/protobuf/wkt";

/**
 * Connect reads and writes messages itself, by their descriptors. The codecs here are faster, keep
 * their own guarantees, and may have no descriptor. In protobuf's binary format Connect is
 * therefore given messages of a type without fields: their whole content is one unknown field,
 * which protobuf-es copies unchanged.
 */
export const opaqueSchema: typeof EmptySchema = EmptySchema;

/** Returns a message whose binary form is exactly these bytes, which must be a protobuf message. */
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

/**
 * Wraps a message as the only field of another message, which Connect reads in one step whatever
 * the message contains. Unwrapped, each of its fields would become an object.
 */
export function wrapped(bytes: Uint8Array): Uint8Array {
  const length: number[] = [];
  let left = bytes.length;
  for (; left > 0x7f; left >>>= 7) length.push((left & 0x7f) | 0x80);
  length.push(left);
  const result = new Uint8Array(wrapperTag.length + length.length + bytes.length);
  result.set(wrapperTag);
  result.set(length, wrapperTag.length);
  result.set(bytes, wrapperTag.length + length.length);
  return result;
}

/** The most bytes that {@link wrapped} adds to a message. */
export const wrapperBytes = 8;

/** The last of the field numbers that protobuf reserves, so no schema can use it. */
const wrapperField = 19_999;
/** The tag of that field, length-delimited. */
const wrapperTag: readonly number[] = [0xfa, 0xe1, 0x09];

/**
 * Returns the binary form of a message that Connect has read as one without fields, wrapped or not.
 */
export function bytesOf(message: Empty): Uint8Array {
  const field = message.$unknown?.[0];
  if (field?.no !== wrapperField || field.wireType !== 2 || message.$unknown?.length !== 1) {
    return toBinary(EmptySchema, message);
  }
  const { data } = field;
  let lengthEnd = 0;
  while (data[lengthEnd]! > 0x7f) lengthEnd++;
  return data.subarray(lengthEnd + 1);
}

/**
 * Returns the content size of a message that Connect has read as one without fields, excluding the
 * tags of its fields.
 */
export function contentBytes(message: Empty): number {
  return message.$unknown?.reduce((sum, { data }) => sum + data.length, 0) ?? 0;
}
