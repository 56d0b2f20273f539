import type { DescMessage } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import type { FieldTable, MessageSource } from "../../runtime/src/codec/field-table.ts";
import type { FileDescriptors } from "../../runtime/src/codec/file-descriptors.ts";
import { type MessageType, messageType } from "../../runtime/src/codec/message-type.ts";
import { testCodecs } from "./generated.ts";

const { codec, typeNames } = await testCodecs();

interface Described {
  readonly schema: DescMessage;
  readonly file: FileDescriptors;
}

/** What counting knows about a type and the types in it, each by the path that leads to it. */
function known(source: MessageSource, typeName: string): Map<string, unknown> {
  const found = new Map<string, unknown>();
  const seen = new Set<MessageType>();
  const visit = (type: MessageType, path: string) => {
    if (seen.has(type)) return;
    seen.add(type);
    found.set(path, type.cost);
    for (const [number, { message, ...field }] of type.fields) {
      found.set(`${path}/${number}`, { ...field, isMessage: message !== undefined });
      if (message !== undefined) visit(message, `${path}/${number} `);
    }
  };
  visit(messageType(source), typeName);
  return found;
}

const described = typeNames
  .map((typeName) => ({ typeName, ...(codec(typeName) as unknown as Described) }))
  .filter(({ file }) => file !== undefined);

test("most types have a table", () => {
  expect(described.length).toBeGreaterThan(15);
});

test.each(described)("elements of $typeName are counted alike without a descriptor", (type) => {
  const { typeName, schema, file } = type;
  const table = file.table(typeName) as FieldTable;
  const counted = known(table, typeName);
  for (const [path, field] of known(schema, typeName)) {
    // The same type may first be met elsewhere: wrappers and Structs are new ones each time.
    if (counted.has(path)) expect([path, counted.get(path)]).toEqual([path, field]);
  }
  expect([...messageType(table).fields.keys()]).toEqual(schema.fields.map(({ number }) => number));
});

test("a table that this version cannot read is reported with its type", () => {
  const table: FieldTable = { typeName: "a.B", fields: "1?9", find: () => undefined };
  expect(() => messageType(table)).toThrow(/codec of a\.B has a field "1\?9"/);
});
