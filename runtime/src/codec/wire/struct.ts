import type { JsonObject, JsonValue } from "@bufbuild/protobuf";
import { readKey, setEntry } from "./map-keys.ts";
import { getBool, getDouble, getInt32, getString } from "./read-scalars.ts";
import { endOf, enter, leave, nextTag, type Reader } from "./reader.ts";
import { skipField } from "./unknown.ts";
import { storeBool, storeDouble } from "./write-fixed.ts";
import { putString } from "./write-scalars.ts";
import { closeLength, openLength, room, type Writer } from "./writer.ts";

// A field of type google.protobuf.Struct holds the JSON object that the message represents. These
// functions convert between the object and the bytes without intermediate Struct, Value and
// ListValue messages. In the tags below, a Struct's entries are field 1 with key 1 and value 2; a
// Value has null 1, number 2, string 3, bool 4, struct 5 and list 6; a ListValue has its values in
// field 1.

/** Merges a Struct into a JSON object. */
export function readStruct(
  json: JsonObject,
  reader: Reader,
  end: number,
  depth: number,
): JsonObject {
  while (reader.pos < end) {
    const tag = nextTag(reader);
    if (tag === 10) readEntry(json, reader, endOf(reader, end), depth);
    else skipField(reader, tag, end, depth);
  }
  leave(reader, end);
  return json;
}

function readEntry(json: JsonObject, reader: Reader, end: number, depth: number): void {
  let key = "";
  let value: JsonValue | undefined;
  while (reader.pos < end) {
    const tag = nextTag(reader);
    if (tag === 10) key = readKey(reader);
    else if (tag === 18) value = readValue(value, reader, enter(reader, end, depth), depth - 1);
    else skipField(reader, tag, end, depth);
  }
  leave(reader, end);
  setEntry(json, key, value ?? null);
}

/**
 * Reads a Value and merges it with the previous one: of two objects or lists, the later extends the
 * earlier.
 */
function readValue(
  before: JsonValue | undefined,
  reader: Reader,
  end: number,
  depth: number,
): JsonValue | undefined {
  let value = before;
  while (reader.pos < end) {
    const tag = nextTag(reader);
    switch (tag) {
      case 8:
        getInt32(reader);
        value = null;
        continue;
      case 17:
        value = getDouble(reader);
        continue;
      case 26:
        value = getString(reader);
        continue;
      case 32:
        value = getBool(reader);
        continue;
      case 42: {
        const object = isObject(value) ? value : {};
        value = readStruct(object, reader, enter(reader, end, depth), depth - 1);
        continue;
      }
      case 50: {
        const list = Array.isArray(value) ? value : [];
        value = readList(list, reader, enter(reader, end, depth), depth - 1);
        continue;
      }
    }
    skipField(reader, tag, end, depth);
  }
  leave(reader, end);
  return value;
}

function readList(list: JsonValue[], reader: Reader, end: number, depth: number): JsonValue[] {
  while (reader.pos < end) {
    const tag = nextTag(reader);
    if (tag !== 10) skipField(reader, tag, end, depth);
    else list.push(readValue(undefined, reader, enter(reader, end, depth), depth - 1) ?? null);
  }
  leave(reader, end);
  return list;
}

/** Writes the contents of a Struct. */
export function writeStruct(json: JsonObject, writer: Writer, at: number): number {
  let pos = at;
  for (const key of Object.keys(json)) {
    const entry = openLength(writer, pos, 10);
    const value = openLength(writer, putString(writer, entry, 10, key), 18);
    pos = closeLength(
      writer,
      entry,
      closeLength(writer, value, writeValue(json[key], writer, value)),
    );
  }
  return pos;
}

function writeValue(json: JsonValue | undefined, writer: Writer, at: number): number {
  if (typeof json === "string") return putString(writer, at, 26, json);
  const bytes = room(writer, at + 9);
  if (json === null) {
    bytes[at] = 8;
    bytes[at + 1] = 0;
    return at + 2;
  }
  if (typeof json === "number") {
    bytes[at] = 17;
    return storeDouble(bytes, at + 1, json);
  }
  if (typeof json === "boolean") {
    bytes[at] = 32;
    return storeBool(bytes, at + 1, json);
  }
  if (typeof json !== "object") return at;
  const start = openLength(writer, at, Array.isArray(json) ? 50 : 42);
  if (!Array.isArray(json)) return closeLength(writer, start, writeStruct(json, writer, start));
  let pos = start;
  for (const item of json) {
    const value = openLength(writer, pos, 10);
    pos = closeLength(writer, value, writeValue(item, writer, value));
  }
  return closeLength(writer, start, pos);
}

function isObject(value: JsonValue | undefined): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
