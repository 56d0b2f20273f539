import type { Any, Duration, Empty, FieldMask, Timestamp } from "@bufbuild/protobuf/wkt";
import { type FileDescriptors, fileDescriptors } from "./file-descriptors.ts";
import { checkType, isNonzero, lengthOf } from "./wire/checks.ts";
import { noBytes } from "./wire/defaults.ts";
import { type MessageCodec, messageCodec } from "./wire/message-codec.ts";
import { getBytes, getInt32, getInt64, getString } from "./wire/read-scalars.ts";
import { leave, nextTag, type Reader } from "./wire/reader.ts";
import { keepUnknown } from "./wire/unknown.ts";
import { storeInt32, storeInt64 } from "./wire/write-fixed.ts";
import { putBytes, putString } from "./wire/write-scalars.ts";
import { putKept, room, type Writer } from "./wire/writer.ts";

/*
 * The codecs of the messages of google/protobuf that schemas use most. Programs do not generate
 * these, and would otherwise load protobuf-es for them. They are as the generator writes them.
 */

export const AnyCodec: MessageCodec<Any> = /*@__PURE__*/ messageCodec(
  "google.protobuf.Any",
  () => ({ $typeName: "google.protobuf.Any", typeUrl: "", value: noBytes }),
  readAny,
  writeAny,
);

export const DurationCodec: MessageCodec<Duration> = /*@__PURE__*/ messageCodec(
  "google.protobuf.Duration",
  () => ({ $typeName: "google.protobuf.Duration", seconds: 0n, nanos: 0 }),
  readSeconds,
  writeDuration,
);

export const EmptyCodec: MessageCodec<Empty> = /*@__PURE__*/ messageCodec(
  "google.protobuf.Empty",
  () => ({ $typeName: "google.protobuf.Empty" }),
  readEmpty,
  writeEmpty,
);

export const FieldMaskCodec: MessageCodec<FieldMask> = /*@__PURE__*/ messageCodec(
  "google.protobuf.FieldMask",
  () => ({ $typeName: "google.protobuf.FieldMask", paths: [] }),
  readFieldMask,
  writeFieldMask,
);

export const TimestampCodec: MessageCodec<Timestamp> = /*@__PURE__*/ messageCodec(
  "google.protobuf.Timestamp",
  () => ({ $typeName: "google.protobuf.Timestamp", seconds: 0n, nanos: 0 }),
  readSeconds,
  writeTimestamp,
);

/** Their descriptors, loaded when they are first needed. */
export const wellKnownDescriptors: FileDescriptors = /*@__PURE__*/ fileDescriptors(
  () => import("@bufbuild/protobuf/wkt"),
  [
    "google.protobuf.Any 1:9 2:12",
    "google.protobuf.Duration 1:3 2:5",
    "google.protobuf.Empty",
    "google.protobuf.FieldMask 1*9",
    "google.protobuf.Timestamp 1:3 2:5",
  ],
);

function readAny(message: Any, reader: Reader, end: number, depth: number): Any {
  while (reader.pos < end) {
    const tag = nextTag(reader);
    if (tag === 10) message.typeUrl = getString(reader);
    else if (tag === 18) message.value = getBytes(reader);
    else keepUnknown(reader, message, tag, end, depth);
  }
  leave(reader, end);
  return message;
}

function writeAny(message: Any, writer: Writer, pos: number): number {
  checkType(message, "google.protobuf.Any");
  let at = pos;
  const { typeUrl, value } = message;
  if (typeUrl !== undefined && typeUrl !== "") at = putString(writer, at, 10, typeUrl);
  if (value !== undefined && value.length !== 0) at = putBytes(writer, at, 18, value);
  return message.$unknown === undefined ? at : putKept(writer, at, message);
}

/** A duration and a time have the same fields. */
function readSeconds<M extends Duration | Timestamp>(
  message: M,
  reader: Reader,
  end: number,
  depth: number,
): M {
  while (reader.pos < end) {
    const tag = nextTag(reader);
    if (tag === 8) message.seconds = getInt64(reader);
    else if (tag === 16) message.nanos = getInt32(reader);
    else keepUnknown(reader, message, tag, end, depth);
  }
  leave(reader, end);
  return message;
}

function writeDuration(message: Duration, writer: Writer, pos: number): number {
  checkType(message, "google.protobuf.Duration");
  return writeSeconds(message, writer, pos);
}

function writeTimestamp(message: Timestamp, writer: Writer, pos: number): number {
  checkType(message, "google.protobuf.Timestamp");
  return writeSeconds(message, writer, pos);
}

function writeSeconds(message: Duration | Timestamp, writer: Writer, pos: number): number {
  const bytes = room(writer, pos + 22);
  let at = pos;
  const { seconds, nanos } = message;
  if (isNonzero(seconds)) {
    bytes[at] = 8;
    at = storeInt64(bytes, at + 1, seconds);
  }
  if (nanos !== undefined && nanos !== 0) {
    bytes[at] = 16;
    at = storeInt32(bytes, at + 1, nanos);
  }
  return message.$unknown === undefined ? at : putKept(writer, at, message);
}

function readEmpty(message: Empty, reader: Reader, end: number, depth: number): Empty {
  while (reader.pos < end) keepUnknown(reader, message, nextTag(reader), end, depth);
  leave(reader, end);
  return message;
}

function writeEmpty(message: Empty, writer: Writer, pos: number): number {
  checkType(message, "google.protobuf.Empty");
  return message.$unknown === undefined ? pos : putKept(writer, pos, message);
}

function readFieldMask(message: FieldMask, reader: Reader, end: number, depth: number): FieldMask {
  while (reader.pos < end) {
    const tag = nextTag(reader);
    if (tag === 10) message.paths.push(getString(reader));
    else keepUnknown(reader, message, tag, end, depth);
  }
  leave(reader, end);
  return message;
}

function writeFieldMask(message: FieldMask, writer: Writer, pos: number): number {
  checkType(message, "google.protobuf.FieldMask");
  let at = pos;
  const { paths } = message;
  if (paths !== undefined && lengthOf(paths) !== 0) {
    for (let i = 0; i < paths.length; i++) at = putString(writer, at, 10, paths[i]!);
  }
  return message.$unknown === undefined ? at : putKept(writer, at, message);
}
