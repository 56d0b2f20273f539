import type { JsonObject, JsonValue } from "@bufbuild/protobuf";
import { readKey, setEntry } from "./map-keys.ts";
import type { Reader } from "./reader.ts";
import type { Writer } from "./writer.ts";

// A field of type google.protobuf.Struct holds the JSON object that the message stands for. These go between
// the object and the bytes without the messages Struct, Value and ListValue in between. In the tags below,
// a Struct's entries are field 1 with key 1 and value 2; a Value has null 1, number 2, string 3, bool 4,
// struct 5 and list 6; a ListValue has its values in field 1.

/** Merges a Struct into a JSON object. */
export function readStruct(
  json: JsonObject,
  reader: Reader,
  end: number,
  depth: number,
): JsonObject {
  while (reader.pos < end) {
    const tag = reader.tag();
    if (tag === 10) readEntry(json, reader, reader.length(end), depth);
    else reader.skip(tag, end, depth);
  }
  reader.leave(end);
  return json;
}

function readEntry(json: JsonObject, reader: Reader, end: number, depth: number): void {
  let key = "";
  let value: JsonValue | undefined;
  while (reader.pos < end) {
    const tag = reader.tag();
    if (tag === 10) key = readKey(reader);
    else if (tag === 18) value = readValue(value, reader, reader.enter(end, depth), depth - 1);
    else reader.skip(tag, end, depth);
  }
  reader.leave(end);
  setEntry(json, key, value ?? null);
}

/** Reads a Value on top of the one that was there: of two objects or lists, the later adds to the earlier. */
function readValue(
  before: JsonValue | undefined,
  reader: Reader,
  end: number,
  depth: number,
): JsonValue | undefined {
  let value = before;
  while (reader.pos < end) {
    const tag = reader.tag();
    switch (tag) {
      case 8:
        reader.int32();
        value = null;
        continue;
      case 17:
        value = reader.double();
        continue;
      case 26:
        value = reader.string();
        continue;
      case 32:
        value = reader.bool();
        continue;
      case 42: {
        const object = isObject(value) ? value : {};
        value = readStruct(object, reader, reader.enter(end, depth), depth - 1);
        continue;
      }
      case 50: {
        const list = Array.isArray(value) ? value : [];
        value = readList(list, reader, reader.enter(end, depth), depth - 1);
        continue;
      }
    }
    reader.skip(tag, end, depth);
  }
  reader.leave(end);
  return value;
}

function readList(list: JsonValue[], reader: Reader, end: number, depth: number): JsonValue[] {
  while (reader.pos < end) {
    const tag = reader.tag();
    if (tag !== 10) reader.skip(tag, end, depth);
    else list.push(readValue(undefined, reader, reader.enter(end, depth), depth - 1) ?? null);
  }
  reader.leave(end);
  return list;
}

/** Writes the contents of a Struct. */
export function writeStruct(json: JsonObject, writer: Writer): void {
  for (const key of Object.keys(json)) {
    const entry = writer.open(10);
    writer.string(10, key);
    const value = writer.open(18);
    writeValue(json[key], writer);
    writer.close(value);
    writer.close(entry);
  }
}

function writeValue(json: JsonValue | undefined, writer: Writer): void {
  if (json === null) writer.int32(8, 0);
  else if (typeof json === "number") writer.double(17, json);
  else if (typeof json === "string") writer.string(26, json);
  else if (typeof json === "boolean") writer.bool(32, json);
  else if (Array.isArray(json)) {
    const list = writer.open(50);
    for (const item of json) {
      const value = writer.open(10);
      writeValue(item, writer);
      writer.close(value);
    }
    writer.close(list);
  } else if (typeof json === "object") {
    const struct = writer.open(42);
    writeStruct(json, writer);
    writer.close(struct);
  }
}

function isObject(value: JsonValue | undefined): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
