import type { AnyCodec } from "../codec/codec.ts";

/** The message does not go this way, or not without an error; it goes by bytes of its own, or fails there. */
export const unfit: unique symbol = Symbol("unfit");

/** Where small messages change sides. Undefined while one does, whose getters might send another. */
let buffer: Uint8Array | undefined = new Uint8Array(8 * 1024);

/**
 * The other side's own message, without bytes that outlive this call.
 *
 * @param limit the most bytes that it may have
 */
export function handOver(
  writer: AnyCodec,
  reader: AnyCodec,
  init: unknown,
  limit: number,
): unknown | typeof unfit {
  if (writer.encodeInto === undefined || reader.decodeFrom === undefined) return unfit;
  const shared = buffer;
  if (shared === undefined) return unfit;
  buffer = undefined;
  try {
    const end = writer.encodeInto(init, shared, 0);
    if (end > shared.length || end > limit) return unfit;
    return reader.decodeFrom(shared, 0, end, true);
  } catch {
    // Whose fault it is shows when it fails again on the long way.
    return unfit;
  } finally {
    buffer = shared;
  }
}
