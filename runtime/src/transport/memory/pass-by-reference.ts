import type { AnyCodec } from "../../codec/codec.ts";

/**
 * Returned for a message that cannot be passed directly, or not without an error. It is encoded and
 * decoded separately, or fails there.
 */
export const notShareable: unique symbol = Symbol("not shareable");

/**
 * The buffer through which small messages are copied. Undefined while in use, because a getter of a
 * message might send another one.
 */
let buffer: Uint8Array | undefined = new Uint8Array(8 * 1024);

/**
 * Copies a message for the other side, without retaining bytes beyond this call.
 *
 * @param limit the largest size of the message, in bytes
 */
export function passByReference(
  writer: AnyCodec,
  reader: AnyCodec,
  init: unknown,
  limit: number,
): unknown | typeof notShareable {
  if (writer.encodeInto === undefined || reader.decodeFrom === undefined) return notShareable;
  const shared = buffer;
  if (shared === undefined) return notShareable;
  buffer = undefined;
  try {
    const end = writer.encodeInto(init, shared, 0);
    if (end > shared.length || end > limit) return notShareable;
    return reader.decodeFrom(shared, 0, end, true);
  } catch {
    // The slow path fails in the same way, and shows whose fault it is.
    return notShareable;
  } finally {
    buffer = shared;
  }
}
