import { type DescField, type DescMessage, ScalarType } from "@bufbuild/protobuf";
import { type Code, literal } from "../emit/layout.ts";
import {
  Block,
  type CodecContext,
  functionsOf,
  member,
  ownMember,
  typed,
} from "./codec-context.ts";
import { isDelimited, representation, wrappedType } from "./message-fields.ts";
import { isInherited } from "./presence.ts";
import { getter, scalar, tagOf, zeroLiteral } from "./scalars.ts";

/**
 * Writes the function that reads a message. It switches on field numbers, which are dense enough
 * for a jump table; each case compares the whole tag, so that a field with the wrong wire type is
 * unknown.
 */
export function emitRead(context: CodecContext, message: DescMessage): Code[] {
  const shape = context.shape(message);
  const block = new Block(0);
  const { read } = context.names.functions(message);
  block.nest(
    [
      "function ",
      read,
      "(",
      context.typed
        ? [
            "\n  message: ",
            shape,
            ",\n  reader: ",
            context.runtimeType("Reader"),
            ",\n  end: number,\n  depth: number,\n): ",
            shape,
          ]
        : "message, reader, end, depth)",
      " {",
    ],
    () => {
      block.nest("while (reader.pos < end) {", () => {
        block.line("const tag = ", context.runtime("nextTag"), "(reader);");
        if (message.fields.length > 0) {
          block.nest("switch (tag >>> 3) {", () => {
            for (const field of message.fields) emitField(context, field, block);
          });
        }
        block.line(context.runtime("keepUnknown"), "(reader, message, tag, end, depth);");
      });
      block.line(context.runtime("leave"), "(reader, end);");
      block.line("return message;");
    },
  );
  return block.lines;
}

function emitField(context: CodecContext, field: DescField, block: Block): void {
  switch (field.fieldKind) {
    case "scalar":
    case "enum":
      emitSingular(context, field, block);
      break;
    case "message":
      emitMessage(context, field, block);
      break;
    case "list":
      if (field.listKind === "message") emitMessageList(context, field, block);
      else emitScalarList(context, field, block);
      break;
    case "map":
      emitCase(block, field.number, 2, () => {
        block.line(context.names.readEntry(field), "(message, reader, end, depth);");
      });
  }
}

/** The case of a field with a single wire type. */
function emitCase(block: Block, number: number, wireType: number, body: () => void): void {
  block.nest(
    `case ${number}:`,
    () => {
      block.line(`if (tag !== ${tagOf(number, wireType)}) break;`);
      body();
    },
    "  continue;",
  );
}

/** The case of a field with a single wire type, as a block with its own variables. */
function emitScopedCase(block: Block, number: number, wireType: number, body: () => void): void {
  block.nest(`case ${number}: {`, () => {
    block.line(`if (tag !== ${tagOf(number, wireType)}) break;`);
    body();
    block.line("continue;");
  });
}

/** The case of a list, which may be packed or have one tag per element. */
function emitListCase(
  block: Block,
  number: number,
  packed: Code,
  wireType: number,
  element: Code,
): void {
  block.nest(
    `case ${number}:`,
    () => {
      block.line(`if (tag === ${tagOf(number, 2)}) `, packed, ";");
      block.line(`else if (tag === ${tagOf(number, wireType)}) `, element, ";");
      block.line("else break;");
    },
    "  continue;",
  );
}

/** The statement that sets a field. */
function assignment(field: DescField, value: Code): Code {
  if (field.oneof === undefined) return [member(field), " = ", value, ";"];
  const name = literal(field.localName);
  return [`${member(field.oneof)} = { case: ${name}, value: `, value, " };"];
}

function emitSingular(
  context: CodecContext,
  field: DescField & { fieldKind: "scalar" | "enum" },
  block: Block,
): void {
  const type = field.fieldKind === "enum" ? ScalarType.INT32 : field.scalar;
  const { wireType } = scalar(type);
  if (field.fieldKind === "enum" && !field.enum.open) {
    emitScopedCase(block, field.number, wireType, () => {
      block.line("const value = ", context.runtime("getInt32"), "(reader);");
      block.line(
        "if (",
        context.names.isKnown(field.enum),
        "(value)) ",
        assignment(field, "value"),
      );
      block.line(
        "else ",
        context.runtime("keepEnum"),
        `(reader, message, ${field.number}, value);`,
      );
    });
    return;
  }
  const longAsString = field.fieldKind === "scalar" && field.longAsString;
  const value = [
    readExpression(context, type, { utf8Validation: field.utf8Validation, longAsString }),
    asEnum(context, field),
  ];
  emitCase(block, field.number, wireType, () => block.line(assignment(field, value)));
}

function emitMessage(
  context: CodecContext,
  field: DescField & { fieldKind: "message" },
  block: Block,
): void {
  const wireType = field.delimitedEncoding ? 3 : 2;
  if (field.oneof === undefined) {
    emitCase(block, field.number, wireType, () => {
      const before = isInherited(field.localName) ? ownMember(context, field) : member(field);
      block.line(assignment(field, nested(context, field, before)));
    });
    return;
  }
  const oneof = member(field.oneof);
  const name = literal(field.localName);
  emitScopedCase(block, field.number, wireType, () => {
    block.line(`const before = ${oneof}.case === ${name} ? ${oneof}.value : undefined;`);
    block.line(assignment(field, nested(context, field, "before")));
  });
}

function emitMessageList(
  context: CodecContext,
  field: DescField & { fieldKind: "list"; listKind: "message" },
  block: Block,
): void {
  emitCase(block, field.number, field.delimitedEncoding ? 3 : 2, () => {
    block.line(member(field), ".push(", nested(context, field, undefined), ");");
  });
}

/** An expression that reads a nested message and merges it into the previous value. */
export function nested(
  context: CodecContext,
  field: DescField,
  before: Code | undefined,
  end = "end",
): Code {
  const message = field.message!;
  const inside = ["reader, ", context.runtime("enter"), `(reader, ${end}, depth), depth - 1`];
  const or = (initial: Code): Code => (before === undefined ? initial : [before, " ?? ", initial]);
  switch (representation(field)) {
    case "struct":
      return [context.runtime("readStruct"), "(", or("{}"), ", ", inside, ")"];
    case "wrapped": {
      const type = wrappedType(message)!;
      const tag = tagOf(1, scalar(type).wireType);
      const zero = zeroLiteral(type, false) ?? context.runtime("noBytes");
      const read = context.runtime("readWrapped");
      const next = context.runtime(getter(type, true));
      return [read, "(", inside, `, ${tag}, `, or(zero), ", ", next, ")"];
    }
    case "message": {
      const { create, read } = functionsOf(context, message);
      const initial = or([create, "()"]);
      return isDelimited(field)
        ? [
            context.runtime("readGroup"),
            "(reader, ",
            read,
            ", ",
            initial,
            `, ${field.number}, ${end}, depth)`,
          ]
        : [read, "(", initial, ", ", inside, ")"];
    }
  }
}

function emitScalarList(
  context: CodecContext,
  field: DescField & { fieldKind: "list"; listKind: "scalar" | "enum" },
  block: Block,
): void {
  const type = field.listKind === "enum" ? ScalarType.INT32 : field.scalar;
  const { wireType, name, packable, is64 } = scalar(type);
  const list = member(field);
  if (field.listKind === "enum" && !field.enum.open) {
    const args = [", ", context.names.isKnown(field.enum), `, message, ${field.number})`];
    const readPacked = context.runtime("readPackedEnum");
    const packedEnum = [`${list} = `, readPacked, `(reader, ${list}, end`, args];
    const element = [context.runtime("readEnum"), `(reader, ${list}`, args];
    emitListCase(block, field.number, packedEnum, 0, element);
    return;
  }
  const longAsString = field.listKind === "scalar" && field.longAsString;
  const options = { utf8Validation: field.utf8Validation, longAsString };
  const value = readExpression(context, type, options);
  const element = [`${list}.push(`, value, asEnum(context, field), ")"];
  if (!packable) {
    emitCase(block, field.number, wireType, () => block.line(element, ";"));
  } else if (longAsString && is64) {
    const next = ["(reader) => ", value];
    const all = [`${list} = `, context.runtime("readPacked"), `(reader, ${list}, end, `, next, ")"];
    emitListCase(block, field.number, all, wireType, element);
  } else {
    const all = [`${list} = `, context.runtime(`readPacked${name}`), `(reader, ${list}, end)`];
    emitListCase(block, field.number, all, wireType, element);
  }
}

/** An expression that reads a value after its tag. */
function readExpression(
  context: CodecContext,
  type: ScalarType,
  { utf8Validation, longAsString }: { utf8Validation: boolean; longAsString: boolean },
): Code {
  const value = [context.runtime(getter(type, utf8Validation)), "(reader)"];
  return longAsString && scalar(type).is64 ? ["String(", value, ")"] : value;
}

/**
 * A cast to the enum: an open enum may have any number, its TypeScript type only the known ones.
 */
function asEnum(context: CodecContext, field: DescField): Code {
  return field.enum === undefined ? "" : typed(context, " as ", context.shape(field.enum));
}

/** Writes the function that reads an entry of a map field after its tag. */
export function emitReadEntry(
  context: CodecContext,
  field: DescField & { fieldKind: "map" },
): Code[] {
  const block = new Block(0);
  const name = context.names.readEntry(field);
  const keyTag = tagOf(1, scalar(field.mapKey).wireType);
  const { utf8Validation } = field;
  const isString = field.mapKey === ScalarType.STRING;
  const isBool = field.mapKey === ScalarType.BOOL;
  const { is64 } = scalar(field.mapKey);
  const getKey = is64 ? `${getter(field.mapKey, false)}Key` : getter(field.mapKey, utf8Validation);
  const key = [context.runtime(isString && utf8Validation ? "readKey" : getKey), "(reader)"];
  const value = mapValue(context, field);
  const closed = field.mapKind === "enum" && !field.enum.open;
  const annotation: Code = context.typed
    ? [
        "\n  message: ",
        context.shape(field.parent),
        ",\n  reader: ",
        context.runtimeType("Reader"),
        ",\n  end: number,\n  depth: number,\n): void",
      ]
    : "message, reader, end, depth)";
  const readEntry = () => {
    if (closed) block.line("const start = reader.pos;");
    block.line("const stop = ", context.runtime("endOf"), "(reader, end);");
    if (is64) block.line("let key", typed(context, ": ", context.runtimeType("LongKey")), " = 0;");
    else block.line(`let key = ${zeroLiteral(field.mapKey, false)};`);
    block.line("let value", value.declaration, ";");
    block.nest("while (reader.pos < stop) {", () => {
      block.line("const tag = ", context.runtime("nextTag"), "(reader);");
      block.line(`if (tag === ${keyTag}) key = `, key, ";");
      block.line(`else if (tag === ${value.tag}) value = `, value.read, ";");
      block.line("else ", context.runtime("skipField"), "(reader, tag, stop, depth);");
    });
    block.line(context.runtime("leave"), "(reader, stop);");
    const set = isString
      ? [context.runtime("setEntry"), `(${member(field)}, key, `, value.result, ");"]
      : [
          `${isBool ? member(field) : "map"}[${isBool ? "String(key)" : "key"}] = `,
          value.result,
          closed ? "" : asEnum(context, field),
          ";",
        ];
    if (!closed) block.line(set);
    else {
      block.line("if (", context.names.isKnown(field.enum), "(value)) ", set);
      const tag = tagOf(field.number, 2);
      const part = [context.runtime("partOf"), "(reader, start, stop)"];
      block.line("else ", context.runtime("keepField"), `(reader, message, ${tag}, `, part, ");");
    }
  };
  block.nest(["function ", name, "(", annotation, " {"], () => {
    if (isString || isBool) {
      readEntry();
      return;
    }
    const roomyMap = context.runtime("roomyMap");
    block.line("const map = ", roomyMap, `(reader, ${member(field)});`);
    block.line(`${member(field)} = map;`);
    const again = [context.runtime("isNext"), `(reader, end, ${tagOf(field.number, 2)})`];
    block.nest("do {", readEntry, ["} while (", again, ");"]);
  });
  return block.lines;
}

/** The variable that holds the value of a map entry while the entry is read. */
function mapValue(
  context: CodecContext,
  field: DescField & { fieldKind: "map" },
): { tag: number; declaration: Code; read: Code; result: Code } {
  if (field.mapKind === "message") {
    const initial: Code =
      representation(field) === "struct"
        ? "{}"
        : [functionsOf(context, field.message).create, "()"];
    return {
      tag: tagOf(2, 2),
      declaration: typed(context, ": ", mapMessageType(context, field), " | undefined"),
      read: nested(context, field, "value", "stop"),
      result: ["value ?? ", initial],
    };
  }
  const type = field.mapKind === "enum" ? ScalarType.INT32 : field.scalar;
  const tag = tagOf(2, scalar(type).wireType);
  const { utf8Validation } = field;
  const read = readExpression(context, type, { utf8Validation, longAsString: false });
  if (type === ScalarType.BYTES) {
    return {
      tag,
      declaration: typed(context, ": Uint8Array | undefined"),
      read,
      result: "value ?? new Uint8Array(0)",
    };
  }
  const zero =
    field.mapKind === "enum" ? String(field.enum.values[0]!.number) : zeroLiteral(type, false)!;
  return {
    tag,
    declaration: [typed(context, `: ${typeOfZero(zero)}`), ` = ${zero}`],
    read,
    result: "value",
  };
}

function mapMessageType(context: CodecContext, field: DescField & { fieldKind: "map" }): Code {
  return representation(field) === "struct"
    ? context.runtimeType("JsonObject")
    : context.shape(field.message!);
}

function typeOfZero(zero: string): string {
  if (zero === '""') return "string";
  if (zero === "false") return "boolean";
  return zero.endsWith("n") ? "bigint" : "number";
}
