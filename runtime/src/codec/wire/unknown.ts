import {
  endOf,
  getUint32,
  type KeptField,
  nextTag,
  overrun,
  partOf,
  type Reader,
  tooDeep,
  type UnknownFields,
} from "./reader.ts";

/** Keeps a field that the message's type does not have, as received. */
export function keepUnknown(
  reader: Reader,
  message: UnknownFields,
  tag: number,
  end: number,
  depth: number,
): void {
  if ((tag & 7) === 4) {
    if (reader.groupDepth !== depth || tag >>> 3 !== reader.group) throw badTag(tag);
    // The group's message ends here, as though its bytes had ended.
    reader.behindGroup = reader.pos;
    reader.pos = end;
    return;
  }
  const start = reader.pos;
  skipField(reader, tag, end, depth);
  if (reader.pos > end) throw overrun(reader, end);
  keepField(reader, message, tag, partOf(reader, start, reader.pos));
}

/**
 * Sets a field aside until everything is read: a message that gets another property in the middle
 * of reading looks to the engine like one of another kind, and reading stays slower permanently
 * once it has seen many kinds.
 */
export function keepField(
  reader: Reader,
  message: UnknownFields,
  tag: number,
  data: Uint8Array,
): void {
  reader.kept ??= [];
  reader.kept.push([message, { no: tag >>> 3, wireType: tag & 7, data }]);
}

/** Adds the kept fields to their messages, in the order in which they arrived. */
export function handOver(kept: readonly KeptField[]): void {
  for (const [message, field] of kept) {
    message.$unknown ??= [];
    message.$unknown.push(field);
  }
}

/** Moves past a field's value. Groups in it may be nested as deeply as messages. */
export function skipField(reader: Reader, tag: number, end: number, depth: number): void {
  if (tag >>> 3 === 0) throw badTag(tag);
  switch (tag & 7) {
    case 0:
      getUint32(reader);
      return;
    case 1:
      reader.pos += 8;
      return;
    case 2:
      reader.pos = endOf(reader, end);
      return;
    case 3:
      if (depth <= 0) throw tooDeep();
      skipGroup(reader, tag, end, depth - 1);
      return;
    case 5:
      reader.pos += 4;
      return;
    default:
      throw badTag(tag);
  }
}

function skipGroup(reader: Reader, start: number, end: number, depth: number): void {
  while (reader.pos < end) {
    const tag = nextTag(reader);
    // The end tag of a group has the same number as its start tag, and a wire type one higher.
    if (tag === start + 1) return;
    skipField(reader, tag, end, depth);
  }
  throw endlessGroup(start >>> 3);
}

export function endlessGroup(number: number): Error {
  return new Error(`group ${number} does not end`);
}

/** There is no field number 0, no wire type 6 or 7, and wire type 4 ends a group that has begun. */
function badTag(tag: number): Error {
  return new Error(`no field or group ${tag >>> 3} of wire type ${tag & 7} may be here`);
}

/** Keeps a value that a closed enum does not have. */
export function keepEnum(
  reader: Reader,
  message: UnknownFields,
  number: number,
  value: number,
): void {
  const data: number[] = [];
  // A negative value is sign-extended to 64 bits, which takes all ten bytes.
  let word = value;
  while ((word < 0 || word > 0x7f) && data.length < 9) {
    data.push((word & 0x7f) | 0x80);
    word >>= 7;
  }
  data.push(word < 0 ? 1 : word);
  keepField(reader, message, number << 3, new Uint8Array(data));
}
