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
 * Removes from a CodeGeneratorRequest the source locations that have no comment, or a comment that
 * the output does not contain, such as those of fields and enums. Each location would become an
 * object with several lists, and only error messages need them.
 *
 * @param request as the compiler sent it
 * @throws RangeError or Error when the request is truncated or malformed
 */
export function slimRequest(request: Uint8Array): Uint8Array {
  return replaceFields(request, [REQUEST_PROTO_FILE, REQUEST_SOURCE_FILE], (file) =>
    replaceFields(file, [FILE_SOURCE_CODE_INFO], documentedLocations),
  );
}

/** Replaces the values of some length-delimited fields of an encoded message. */
function replaceFields(
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
 * Reduces a SourceCodeInfo to the locations whose comments the output contains. Compilers write the
 * path of a location, then its span, then its comments; a location in another form is kept.
 */
function documentedLocations(info: Uint8Array): Uint8Array {
  const slim = new Uint8Array(info.length);
  let size = 0;
  for (let start = 0; start < info.length; ) {
    const [begin, end] = lengthDelimited(info, start);
    if (info[start] !== INFO_LOCATION || hasShownComments(info, begin, end)) {
      slim.set(info.subarray(start, end), size);
      size += end - start;
    }
    start = end;
  }
  return slim.subarray(0, size);
}

/** Whether the location at `begin` has comments that the output contains. */
function hasShownComments(info: Uint8Array, begin: number, end: number): boolean {
  let pos = begin;
  if (pos < end && info[pos] === LOCATION_PATH) {
    const [path, pathEnd] = lengthDelimited(info, pos);
    if (!isDocumented(info, path, pathEnd)) return false;
    pos = pathEnd;
  }
  if (pos < end && info[pos] === LOCATION_SPAN) pos = lengthDelimited(info, pos)[1];
  return pos !== end;
}

/**
 * Whether the output contains the comments at a path: those at the top of the file, of messages and
 * in services.
 */
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
  // A path consists of pairs of a field number and an index.
  for (let pos = begin + 1; pos < end; pos++) {
    while ((info[pos] ?? 0) > 0x7f) pos++;
    pos++;
    if (pos < end && info[pos] !== MESSAGE_NESTED) return false;
  }
  return true;
}

/** The range of the value of a length-delimited field whose one-byte tag is at `start`. */
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
