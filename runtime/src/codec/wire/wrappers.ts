import { leave, nextTag, type Reader } from "./reader.ts";
import { skipField } from "./unknown.ts";

/**
 * Reads a message of google/protobuf/wrappers.proto for a field that holds the bare value. A value
 * that the wrapper omits keeps its previous value, or the default of a new wrapper.
 *
 * @param tag of the wrapper's one field
 */
export function readWrapped<T>(
  reader: Reader,
  end: number,
  depth: number,
  tag: number,
  before: T,
  next: (reader: Reader) => T,
): T {
  let value = before;
  while (reader.pos < end) {
    const found = nextTag(reader);
    if (found === tag) value = next(reader);
    else skipField(reader, found, end, depth);
  }
  leave(reader, end);
  return value;
}
