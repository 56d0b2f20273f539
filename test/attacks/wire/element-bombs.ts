import { bytesField, varint } from "./protobuf.ts";

/**
 * Messages that are small on the wire and large once they are decoded, for `SayRequest` of
 * target.proto.
 */

/** The largest message of default limits, with room for what is around it, in bytes. */
const most = 4 * 1024 * 1024 - 1_024;

/** As many copies of a unit as fit into so many bytes. */
function filled(unit: Buffer, bytes = most): Buffer {
  return Buffer.alloc(Math.floor(bytes / unit.length) * unit.length, unit);
}

/** The contents of the largest message of default limits, made of numbered units. */
function numbered(unit: (number: number) => Buffer): Buffer {
  const units: Buffer[] = [];
  for (let number = 0, size = 0; size < 4 * 1024 * 1024 - 2_048; number++) {
    const next = unit(number);
    units.push(next);
    size += next.length;
  }
  return Buffer.concat(units);
}

/** A field without contents, whose number needs a tag of one byte. */
const emptyField = (number: number) => Buffer.of(number * 8 + 2, 0);

/** A message that contains itself to the depth that decoders follow. */
function nested(): Buffer {
  let item: Buffer = emptyField(3);
  for (let depth = 0; depth < 90; depth++) item = bytesField(3, item);
  return item;
}

/** An unknown field. */
const unknown = Buffer.concat([varint(20 * 8), Buffer.of(1)]);
const unknownGroup = Buffer.concat([varint(20 * 8 + 3), varint(20 * 8 + 4)]);

/** Bombs of any size, for events, which are smaller than other messages. */
export const sizedBombs: Readonly<Record<string, (bytes: number) => Buffer>> = {
  "empty sub-messages": (bytes) => filled(emptyField(3), bytes),
  "deep nesting": (bytes) => filled(nested(), bytes),
  "unknown fields": (bytes) => filled(unknown, bytes),
  "unknown groups": (bytes) => filled(unknownGroup, bytes),
};

/** Bombs for messages of any type. */
export const unknownBombs: Readonly<Record<string, () => Buffer>> = {
  "unknown fields": () => filled(unknown),
  "unknown groups": () => filled(unknownGroup),
};

export const elementBombs: Readonly<Record<string, () => Buffer>> = {
  "empty sub-messages": () => filled(emptyField(3)),
  "empty sub-messages of one": () => bytesField(3, filled(emptyField(3))),
  "deep nesting": () => filled(nested()),
  "a sub-message that is merged": () => filled(emptyField(12)),
  "an Any that is merged": () => filled(emptyField(11)),
  ...unknownBombs,
  "packed 64-bit integers": () => bytesField(4, filled(Buffer.of(1))),
  "unpacked 64-bit integers": () => filled(Buffer.of(4 * 8, 1)),
  "packed booleans": () => bytesField(5, filled(Buffer.of(1))),
  "map entries by number": () =>
    numbered((number) => bytesField(7, Buffer.concat([Buffer.of(8), varint(number * 2_654_435)]))),
  "map entries by name": () =>
    numbered((number) => bytesField(8, bytesField(1, Buffer.from(number.toString(36))))),
  "Struct members": () =>
    bytesField(
      6,
      numbered((number) => bytesField(1, bytesField(1, Buffer.from(`a${number}`)))),
    ),
  "paths of a FieldMask": () => bytesField(14, filled(emptyField(1))),
};

const times = (text: string, bytes = most) => text.repeat(Math.floor(bytes / text.length));

/** The same in JSON. */
export const jsonBombs: Readonly<Record<string, () => string>> = {
  "a number of four million digits": () => `{"integer":${times("9")}}`,
  "a number in quotes": () => `{"integer":"${times("9")}"}`,
  "a number as key of a map": () => `{"byNumber":{"${times("9")}":""}}`,
  "empty sub-messages": () => `{"items":[${times("{},")}{}]}`,
  "64-bit integers": () => `{"numbers":[${times("1,")}1]}`,
  "members that the type does not have": () =>
    `{${Array.from({ length: 350_000 }, (_, at) => `"k${at}":1`).join(",")}}`,
  "values of the wrong type": () => `{"name":[${times("0,")}0]}`,
  "map entries": () =>
    `{"byName":{${Array.from({ length: 350_000 }, (_, at) => `"${at}":{}`).join(",")}}}`,
  "Struct with empty objects": () => `{"json":{"a":[${times("{},")}{}]}}`,
  "Struct with numbers": () => `{"json":{"a":[${times("1,")}1]}}`,
  "paths of a FieldMask": () => `{"mask":"${times("a,")}a"}`,
  "capital letters of a FieldMask": () => `{"mask":"${times("aA")}"}`,
  "a member that is repeated": () => `{${times('"name":"",')}"name":""}`,
  "a string of escapes": () => `{"name":"${times("\\u00e9")}"}`,
  "digits of a Duration": () => `{"duration":"${times("9")}s"}`,
};
