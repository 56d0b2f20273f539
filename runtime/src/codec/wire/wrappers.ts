import { leave, nextTag, type Reader } from "./reader.ts";
import { skipField } from "./unknown.ts";

/**
 * Reads a message of google/protobuf/wrappers.proto for a field that holds the bare value. What the wrapper
 * does not say is as it was before, or as a wrapper is that was never written to.
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
