import { nextTag, type Reader, type ReadMessage, tooDeep } from "./reader.ts";
import { endlessGroup, skipField } from "./unknown.ts";

/** Reads a message in the delimited encoding, which ends with a tag instead of having a length. */
export function readGroup<M>(
  reader: Reader,
  read: ReadMessage<M>,
  message: M,
  number: number,
  end: number,
  depth: number,
): M {
  if (depth <= 0) throw tooDeep();
  const outer = reader.group;
  const outerDepth = reader.groupDepth;
  reader.group = number;
  reader.groupDepth = depth - 1;
  reader.behindGroup = -1;
  read(message, reader, end, depth - 1);
  if (reader.behindGroup < 0) throw endlessGroup(number);
  reader.pos = reader.behindGroup;
  reader.behindGroup = -1;
  reader.group = outer;
  reader.groupDepth = outerDepth;
  return message;
}

/**
 * The position at which the fields of a message that {@link readGroup} reads end; `end` if there is
 * no end tag. The cursor does not move.
 */
export function contentsEnd(reader: Reader, end: number, depth: number): number {
  if (reader.groupDepth !== depth) return end;
  const start = reader.pos;
  while (reader.pos < end) {
    const stop = reader.pos;
    const tag = nextTag(reader);
    if ((tag & 7) === 4) {
      reader.pos = start;
      return stop;
    }
    skipField(reader, tag, end, depth);
  }
  throw endlessGroup(reader.group);
}
