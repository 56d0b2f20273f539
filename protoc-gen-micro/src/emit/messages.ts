import type { DescMessage } from "@bufbuild/protobuf";
import type { CodecNames } from "../codecs/codec-names.ts";
import type { MessageReference } from "../model/references.ts";
import { describedCodec, type EmitContext } from "./context.ts";
import { sentence } from "./documentation.ts";
import { type Code, expanded, list, literal } from "./layout.ts";

/**
 * Writes, for each message that is sent, the type of what may be given for it, and its codec. The type is exported
 * also for a message of another file: an editor that implements a handler can then import it, and otherwise
 * writes out all its fields.
 */
export function emitMessages(context: EmitContext, functions: CodecNames): void {
  const { writer, references, options } = context;
  for (const [message, reference] of references.messages) {
    if (reference.kind === "imported") continue;
    const exported = reference.kind === "exported";
    const shape = writer.shape(message);
    const link = `{@link ${shape.name}}`;
    writer.typeAlias(
      {
        name: reference.init,
        exported: true,
        doc: sentence(`What may be given for a ${link}: every field is optional.`, message),
      },
      options.codec === "fast"
        ? { name: writer.type("MessageInit"), args: [shape] }
        : {
            name: writer.type("MessageInitShape", "@bufbuild/protobuf"),
            args: [["typeof ", writer.schema(message, true)]],
          },
    );
    const type = options.codec === "fast" ? "MessageCodec" : "Codec";
    writer.constant(
      { name: reference.codec, exported, doc: sentence(`Bytes of a ${link}.`, message) },
      { name: writer.type(type), args: [shape, writer.own(reference.init)] },
      (before, indent) => codec(context, functions, message, reference, before, indent),
    );
  }
}

function codec(
  { writer, options }: EmitContext,
  functions: CodecNames,
  message: DescMessage,
  { kind }: MessageReference,
  before: number,
  indent: number,
): Code {
  const pure = "/*@__PURE__*/ ";
  if (options.codec === "reflect") {
    return [pure, writer.reflective("codec"), "(", writer.schema(message), ")"];
  }
  if (kind === "local") {
    return [pure, writer.reflective("reflectCodec"), "(", writer.schema(message), ")"];
  }
  const { create, read, write } = functions.functions(message);
  const make = writer.value("messageCodec");
  const args = [literal(message.typeName), create, read, write];
  const style = { open: "(", close: ")", indent, trailingComma: true };
  const head = pure.length + make.name.length;
  return [pure, make, list(args, style, { before: before + head, after: 1 })];
}

/**
 * TypeScript makes a union of the types in an array literal, and gives up on one of some thousand codecs. It looks at
 * the arguments of a call one by one.
 */
const longestLiteral = 200;

/** Writes the list of all codecs, for those who find a codec by the name of its type. */
export function emitCodecList(context: EmitContext): void {
  const { writer, references, names } = context;
  const codecs = [...references.messages.keys()].map((message) => describedCodec(context, message));
  if (codecs.length === 0) return;
  writer.constant(
    {
      name: names.codecs,
      exported: true,
      doc: "The codecs of this file, to resolve messages by the name of their type.",
    },
    { name: ["readonly ", writer.type("AnyCodec"), "[]"], args: [] },
    (before) => {
      const style = { indent: 0, trailingComma: true };
      if (codecs.length <= longestLiteral) {
        return list(codecs, { ...style, open: "[", close: "]" }, { before, after: 1 });
      }
      const type = writer.target === "js" ? "" : ["<", writer.type("AnyCodec"), ">"];
      const items = expanded(codecs, { ...style, open: "(", close: ")" });
      return ["/*@__PURE__*/ ", writer.own("Array"), ".of", type, items];
    },
  );
}
