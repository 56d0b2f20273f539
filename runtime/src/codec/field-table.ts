import type { DescMessage } from "@bufbuild/protobuf";

/*
 * The fields of a message as text, written by the generator: `1:9 2*13 3:macme.v1.Money` are a
 * string, a list of uint32 and a message. Each begins with its number, followed by its kind and
 * what it holds:
 *
 *   `:` a singular field, `|` one of a oneof, `*` a list, `{9}` a map with keys of that type
 *   a number: a scalar, by its number in descriptor.proto
 *   `e` an open enum, `c` a closed one
 *   `m` and a name: a message of that type, `g` the same as a group
 *   `s` a google.protobuf.Struct, `w9` a wrapper of that scalar
 */

/**
 * What a generated file knows about the fields of a message, so that its elements can be counted
 * without a descriptor.
 */
export interface FieldTable {
  readonly typeName: string;
  readonly fields: string;
  /** Finds what describes the messages of a type that a field holds. */
  find(typeName: string): MessageSource | undefined;
}

/** What messages of a type consist of. */
export type MessageSource = DescMessage | FieldTable;

/** The properties of a field, from a descriptor or from a table. */
export interface FieldFacts {
  readonly number: number;
  readonly kind: "list" | "map" | "oneof" | "singular";
  /** The number in descriptor.proto of the type of its values; undefined for other values. */
  readonly scalar: number | undefined;
  readonly isClosedEnum: boolean;
  readonly isGroup: boolean;
  /** As `scalar`; undefined if it is not a map. */
  readonly mapKey: number | undefined;
  readonly message: MessageSource | undefined;
}

const pattern = /^(\d+)(?:([:|*])|\{(\d+)\})(\d+|[ecs]|w\d+|[mg][\w.]+)$/;
const kinds = { ":": "singular", "|": "oneof", "*": "list" } as const;

/** Reads a table. @throws TypeError if it is not one. */
export function factsOfTable(table: FieldTable): readonly FieldFacts[] {
  if (table.fields === "") return [];
  return table.fields.split(" ").map((field) => {
    const [, number, kind, mapKey, value = ""] = pattern.exec(field) ?? notOne(table, field);
    return {
      number: Number(number),
      kind: kind === undefined ? "map" : kinds[kind as keyof typeof kinds],
      scalar: /^\d/.test(value) ? Number(value) : undefined,
      isClosedEnum: value === "c",
      isGroup: value[0] === "g",
      mapKey: mapKey === undefined ? undefined : Number(mapKey),
      message: nestedMessage(table, value),
    };
  });
}

function nestedMessage(table: FieldTable, value: string): MessageSource | undefined {
  const rest = value.slice(1);
  switch (value[0]) {
    case "s":
      return wellKnown.find("google.protobuf.Struct");
    case "w":
      return { typeName: "a wrapper", fields: `1:${rest}`, find: () => undefined };
    case "m":
    case "g":
      return table.find(rest) ?? notOne(table, value);
    default:
      return undefined;
  }
}

/** Splits tables, each a line of a type's name and its fields. */
export class FieldTables {
  readonly #tables = new Map<string, FieldTable>();

  /** @param elsewhere finds types that are not among these tables */
  constructor(
    lines: readonly string[],
    elsewhere: (typeName: string) => MessageSource | undefined = () => undefined,
  ) {
    const find = (typeName: string) => this.#tables.get(typeName) ?? elsewhere(typeName);
    for (const line of lines) {
      const [typeName = "", ...fields] = line.split(" ");
      this.#tables.set(typeName, { typeName, fields: fields.join(" "), find });
    }
  }

  find(typeName: string): FieldTable | undefined {
    return this.#tables.get(typeName);
  }
}

/** The messages of which a field may hold the JSON value. */
const wellKnown = new FieldTables([
  "google.protobuf.Struct 1{9}mgoogle.protobuf.Value",
  "google.protobuf.Value 1|e 2|1 3|9 4|8 5|mgoogle.protobuf.Struct 6|mgoogle.protobuf.ListValue",
  "google.protobuf.ListValue 1*mgoogle.protobuf.Value",
]);

function notOne({ typeName }: FieldTable, field: string): never {
  throw new TypeError(
    `the generated codec of ${typeName} has a field ${JSON.stringify(field)} that this version of the runtime cannot read`,
  );
}
