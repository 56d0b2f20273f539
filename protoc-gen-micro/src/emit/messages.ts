import type { DescMessage } from "@bufbuild/protobuf";
import type { CodecNames } from "../codecs/codec-names.ts";
import type { MessageReference } from "../model/references.ts";
import { describedCodec, type EmitContext } from "./context.ts";
import { sentence } from "./documentation.ts";
import { type Code, expanded, list, literal } from "./layout.ts";
import type { TypeReference } from "./writer.ts";

/**
 * Writes the initializer type and the codec of each of the file's own messages. Messages that were
 * not generated along with this file get an unexported codec.
 */
export function emitMessages(context: EmitContext, functions: CodecNames): void {
  const { references, options } = context;
  for (const [message, reference] of references.messages) {
    if (reference.kind === "imported" || reference.kind === "runtime") continue;
    if (reference.kind === "local") {
      emitForeignCodec(context, message, reference, undefined);
      continue;
    }
    emitInitializer(context, message, reference);
    const reflected = options.codec === "reflect";
    emitCodec(context, message, reference, context.writer.declared(reference.init), (...room) =>
      reflected
        ? reflectiveCodec(context, message)
        : generatedCodec(context, functions, message, ...room),
    );
  }
}

/**
 * Writes the declarations that the wiring needs for messages that were not generated along with
 * this file: the codec, and the initializer type. The type is exported, because an editor that
 * implements a handler writes out all fields of a type that it cannot import.
 */
export function emitForeignMessages(context: EmitContext): void {
  for (const [message, reference] of context.references.messages) {
    if (reference.kind !== "local" && reference.kind !== "runtime") continue;
    emitInitializer(context, message, reference);
    if (reference.kind === "runtime") continue;
    emitForeignCodec(context, message, reference, context.writer.declared(reference.init));
  }
}

function emitInitializer(
  { writer, options }: EmitContext,
  message: DescMessage,
  { init }: MessageReference,
): void {
  const shape = writer.shape(message);
  writer.typeAlias(
    {
      name: init,
      exported: true,
      doc: sentence(`Initializer for {@link ${shape.name}}; all fields are optional.`, message),
    },
    options.codec === "fast"
      ? { name: writer.type("MessageInit"), args: [shape] }
      : initializerShape(writer, message),
  );
}

function initializerShape(writer: EmitContext["writer"], message: DescMessage): TypeReference {
  return {
    name: writer.type("MessageInitShape", "@bufbuild/protobuf"),
    args: [["typeof ", writer.schema(message, true)]],
  };
}

/** @param init the name of the initializer type; undefined if the file has none */
function emitForeignCodec(
  context: EmitContext,
  message: DescMessage,
  reference: MessageReference,
  init: Code | undefined,
): void {
  const { writer, options } = context;
  const { name, args } = initializerShape(writer, message);
  const unnamed = options.codec === "fast" ? undefined : [name, "<", args, ">"];
  emitCodec(context, message, reference, init ?? unnamed, () => reflectiveCodec(context, message));
}

/**
 * @param init the type of the initializer; undefined for the default of the codec's type
 * @param value as for {@link Writer.constant}
 */
function emitCodec(
  { writer, options }: EmitContext,
  message: DescMessage,
  reference: MessageReference,
  init: Code | undefined,
  value: (before: number, indent: number) => Code,
): void {
  const exported = reference.kind === "exported";
  const shape = writer.shape(message);
  const doc = exported ? sentence(`Codec for {@link ${shape.name}}.`, message) : "";
  writer.constant(
    { name: reference.codec, exported, doc },
    {
      name: writer.type(options.codec === "fast" ? "MessageCodec" : "Codec"),
      args: init === undefined ? [shape] : [shape, init],
    },
    value,
  );
}

const pure = "/*@__PURE__*/ ";

/** A codec that works from the message's descriptor. */
function reflectiveCodec({ writer, options }: EmitContext, message: DescMessage): Code {
  const make = writer.reflective(options.codec === "reflect" ? "codec" : "reflectCodec");
  return [pure, make, "(", writer.schema(message), ")"];
}

/** A codec that consists of the functions written for the message. */
function generatedCodec(
  { writer }: EmitContext,
  functions: CodecNames,
  message: DescMessage,
  before: number,
  indent: number,
): Code {
  const { create, read, write } = functions.functions(message);
  const make = writer.value("messageCodec");
  const args = [literal(message.typeName), create, read, write];
  const style = { open: "(", close: ")", indent, trailingComma: true };
  const head = pure.length + make.name.length;
  return [pure, make, list(args, style, { before: before + head, after: 1 })];
}

/**
 * TypeScript makes a union of the types in an array literal, and gives up on one of some thousand
 * codecs. It looks at the arguments of a call one by one.
 */
const longestLiteral = 200;

/** Writes the list of all codecs of the file. */
export function emitCodecList(context: EmitContext): void {
  const { writer, references, names } = context;
  const line = { indent: 2, before: 2 };
  const codecs = [...references.messages.keys()].map((it) => describedCodec(context, it, line));
  if (codecs.length === 0) return;
  writer.constant(
    {
      name: names.codecs,
      exported: true,
      doc: "All codecs of this file, for lookup by type name.",
    },
    { name: ["readonly ", writer.type("AnyCodec"), "[]"], args: [] },
    (before) => {
      const style = { indent: 0, trailingComma: true };
      if (codecs.length <= longestLiteral) {
        return list(codecs, { ...style, open: "[", close: "]" }, { before, after: 1 });
      }
      const type = writer.target === "js" ? "" : ["<", writer.type("AnyCodec"), ">"];
      const items = expanded(codecs, { ...style, open: "(", close: ")" });
      return ["/*@__PURE__*/ Array.of", type, items];
    },
  );
}

/**
 * Re-exports initializers and codecs from the file that applications import, so that one import is
 * enough.
 */
export function reexportCodecs({ writer, references, names, options }: EmitContext): void {
  if (references.messages.size === 0) return;
  const codecs = [...references.messages.values()].filter(({ kind }) => kind === "exported");
  const descriptors = options.codec === "fast" && codecs.length > 0 ? [names.descriptors] : [];
  writer.reexportCodecs([...codecs.map(({ codec }) => codec), ...descriptors, names.codecs]);
}
