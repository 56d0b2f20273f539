import { BinaryReader, BinaryWriter, WireType } from "@bufbuild/protobuf/wire";

// Field numbers of plugin.proto and descriptor.proto.
const REQUEST_PROTO_FILE = 15;
const REQUEST_SOURCE_FILE = 17;
const FILE_PACKAGE = 2;
const FILE_MESSAGE = 4;
const FILE_SERVICE = 6;
const FILE_SOURCE_CODE_INFO = 9;
const FILE_SYNTAX = 12;
const MESSAGE_NESTED = 3;
// Tags of length-delimited fields 1 and 2.
const INFO_LOCATION = 10;
const LOCATION_PATH = 10;
const LOCATION_SPAN = 18;

/**
 * A CodeGeneratorRequest without those places in source code that have no comment, or one that the output does not show, as
 * those of fields and enums. Each would become an object with several lists, and only messages of errors need them.
 *
 * @param request as a compiler sent it
 * @throws RangeError or Error when it is truncated or malformed
 */
export function slimRequest(request: Uint8Array): Uint8Array {
  return replaced(request, [REQUEST_PROTO_FILE, REQUEST_SOURCE_FILE], (file) =>
    replaced(file, [FILE_SOURCE_CODE_INFO], shownPlaces),
  );
}

/** A message in which another value stands for each one of some length-delimited fields. */
function replaced(
  message: Uint8Array,
  numbers: readonly number[],
  replace: (value: Uint8Array) => Uint8Array,
): Uint8Array {
  const reader = new BinaryReader(message);
  const writer = new BinaryWriter();
  let kept = 0;
  while (reader.pos < reader.len) {
    const start = reader.pos;
    const [found, wireType] = reader.tag();
    if (!numbers.includes(found) || wireType !== WireType.LengthDelimited) {
      reader.skip(wireType, found);
      continue;
    }
    writer.raw(message.subarray(kept, start));
    writer.tag(found, wireType).bytes(replace(reader.bytes()));
    kept = reader.pos;
  }
  if (kept === 0) return message;
  return writer.raw(message.subarray(kept)).finish();
}

/**
 * A SourceCodeInfo with the locations of comments that the output shows. Compilers write a location's path, its span and then
 * its comments; what looks otherwise is kept.
 */
function shownPlaces(info: Uint8Array): Uint8Array {
  const slim = new Uint8Array(info.length);
  let size = 0;
  for (let start = 0; start < info.length; ) {
    const [begin, end] = lengthDelimited(info, start);
    if (info[start] !== INFO_LOCATION || isShown(info, begin, end)) {
      slim.set(info.subarray(start, end), size);
      size += end - start;
    }
    start = end;
  }
  return slim.subarray(0, size);
}

/** Whether the output shows comments of the location at `begin`, and it has some. */
function isShown(info: Uint8Array, begin: number, end: number): boolean {
  let pos = begin;
  if (pos < end && info[pos] === LOCATION_PATH) {
    const [path, pathEnd] = lengthDelimited(info, pos);
    if (!isDocumented(info, path, pathEnd)) return false;
    pos = pathEnd;
  }
  if (pos < end && info[pos] === LOCATION_SPAN) pos = lengthDelimited(info, pos)[1];
  return pos !== end;
}

/** Whether a path leads to what has documentation in the output: the file's first lines, messages, and all of services. */
function isDocumented(info: Uint8Array, begin: number, end: number): boolean {
  switch (info[begin]) {
    case FILE_PACKAGE:
    case FILE_SYNTAX:
    case FILE_SERVICE:
      return true;
    case FILE_MESSAGE:
      break;
    default:
      return false;
  }
  // Pairs of a field's number and an index.
  for (let pos = begin + 1; pos < end; pos++) {
    while ((info[pos] ?? 0) > 0x7f) pos++;
    pos++;
    if (pos < end && info[pos] !== MESSAGE_NESTED) return false;
  }
  return true;
}

/** Where the value of a length-delimited field begins and ends whose tag of one byte is at `start`. */
function lengthDelimited(bytes: Uint8Array, start: number): [begin: number, end: number] {
  let pos = start + 1;
  let length = 0;
  for (let shift = 0; ; shift += 7) {
    const byte = bytes[pos++] ?? 0;
    length |= (byte & 0x7f) << shift;
    if (byte < 0x80 || shift > 21) break;
  }
  return [pos, Math.min(pos + length, bytes.length)];
}
