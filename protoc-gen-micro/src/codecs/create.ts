import type { DescField } from "@bufbuild/protobuf";
import { type DescMessage, type DescOneof, ScalarType } from "@bufbuild/protobuf";
import { type Code, literal, type Name, propertyKey, propertyOf } from "../emit/layout.ts";
import { Block, type CodecContext, typed } from "./codec-context.ts";
import { defaultBytes, defaultOf, hasPrototype, isImplicit, isInherited } from "./presence.ts";

/** Writes the function that creates a message with every field at its default. */
export function emitCreate(context: CodecContext, message: DescMessage): Code[] {
  const { names } = context;
  const block = new Block(0);
  const head = [
    "function ",
    names.functions(message).create,
    "()",
    typed(context, ": ", context.shape(message)),
    " {",
  ];
  if (hasPrototype(message)) {
    const name = names.constructorOf(message);
    emitConstructor(context, message, name, block);
    block.line();
    block.nest(head, () => block.line("return new ", name, "();"));
    return block.lines;
  }
  block.nest(head, () => {
    block.nest(
      "return {",
      () => {
        for (const [name, value] of ownMembers(context, message)) {
          block.line(propertyKey(name), ": ", value, ",");
        }
      },
      // For TypeScript, an absent member is the one that every object inherits.
      [
        "}",
        typed(
          context,
          ...(message.members.some(inheritsAbsent)
            ? [" as object as ", context.shape(message)]
            : []),
        ),
        ";",
      ],
    );
  });
  return block.lines;
}

function inheritsAbsent(member: DescField | DescOneof): boolean {
  return isInherited(member.localName);
}

/** The constructor of messages whose prototype holds the defaults. */
function emitConstructor(
  context: CodecContext,
  message: DescMessage,
  name: Name,
  block: Block,
): void {
  block.nest(
    [
      "const ",
      name,
      " = /*@__PURE__*/ ",
      context.runtime("withDefaults"),
      typed(context, "<", context.shape(message), ">"),
      "(",
    ],
    () => {
      block.nest(
        "function () {",
        () => {
          for (const [member, value] of ownMembers(context, message)) {
            block.line(propertyOf("this", member), " = ", value, ";");
          }
        },
        "},",
      );
      block.nest(
        "{",
        () => {
          for (const [name, value] of prototypeMembers(context, message)) {
            block.line(propertyKey(name), ": ", value, ",");
          }
        },
        "},",
      );
    },
    ");",
  );
}

/**
 * The initial properties of a message in the order of its members. Of two with the same name, the
 * later one wins.
 */
function ownMembers(context: CodecContext, message: DescMessage): Map<string, Code> {
  const values = new Map<string, Code>([["$typeName", literal(message.typeName)]]);
  for (const member of message.members) {
    const value = initialValue(context, member);
    if (value !== undefined) values.set(member.localName, value);
  }
  return values;
}

/** The defaults that the prototype holds. */
function prototypeMembers(context: CodecContext, message: DescMessage): Map<string, Code> {
  const values = new Map<string, Code>();
  for (const field of message.fields) {
    if (field.oneof !== undefined || !isBare(field)) continue;
    const value = defaultBytes(field) ?? defaultOf(field) ?? context.runtime("noBytes");
    values.set(field.localName, value);
  }
  return values;
}

function initialValue(context: CodecContext, member: DescField | DescOneof): Code | undefined {
  if (member.kind === "oneof") return "{ case: undefined }";
  switch (member.fieldKind) {
    case "list":
      return "[]";
    case "map":
      return "{}";
    case "message":
      return undefined;
    default:
      if (!isImplicit(member)) return undefined;
      if (member.fieldKind === "scalar" && member.scalar === ScalarType.BYTES) {
        return context.runtime("noBytes");
      }
      return defaultOf(member);
  }
}

function isBare(field: DescField): field is DescField & { fieldKind: "scalar" | "enum" } {
  return field.fieldKind === "scalar" || field.fieldKind === "enum";
}
