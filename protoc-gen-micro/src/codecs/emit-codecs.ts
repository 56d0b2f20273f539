import type { DescMessage } from "@bufbuild/protobuf";
import type { EmitContext } from "../emit/context.ts";
import type { Code, Name } from "../emit/layout.ts";
import type { Run } from "../model/run.ts";
import { type CodecContext, typed } from "./codec-context.ts";
import { CodecNames } from "./codec-names.ts";
import { emitCreate } from "./create.ts";
import { closedEnums, emitIsKnown } from "./enums.ts";
import { nestedCodec } from "./nested-codec.ts";
import { emitRead, emitReadEntry } from "./read.ts";
import { emitWrite } from "./write.ts";

/** The names of the functions that a file's codecs consist of, for code that refers to them. */
export function codecNames(context: EmitContext): CodecNames {
  return new CodecNames((wanted) => context.writer.private(wanted));
}

/** Writes the functions that the file's codecs consist of. */
export function emitCodecs(context: EmitContext, run: Run, names: CodecNames): void {
  const { writer, model } = context;
  if (writer.target === "dts") return;
  const own = model.messages.filter((message) => message.file === model.file);
  const foreign = new Map<DescMessage, Name>();
  const codecs: CodecContext = {
    names,
    typed: writer.target === "ts",
    shape: (type) => writer.shape(type),
    runtime: (name) => writer.value(name),
    runtimeType: (name) =>
      name === "JsonObject"
        ? writer.type(name, "@bufbuild/protobuf")
        : writer.type(name, "@micro-es/runtime/codegenv1"),
    scope: () => writer.scope(),
    codec(message) {
      if (message.file === model.file) return undefined;
      return nestedCodec(context, run, names, message, foreign);
    },
  };
  const pieces: Code[][] = [];
  for (const message of own) {
    pieces.push(emitCreate(codecs, message), emitRead(codecs, message));
    for (const field of message.fields) {
      if (field.fieldKind === "map") pieces.push(emitReadEntry(codecs, field));
    }
    pieces.push(emitWrite(codecs, message));
  }
  for (const desc of closedEnums(own)) pieces.push(emitIsKnown(codecs, desc));
  for (const [message, name] of foreign) {
    const value = [
      "/*@__PURE__*/ ",
      writer.reflective("reflectCodec"),
      "(",
      writer.schema(message),
      ")",
    ];
    const type = typed(codecs, ": ", writer.type("MessageCodec"), "<", codecs.shape(message), ">");
    pieces.push([["const ", name, type, " = ", value, ";"]]);
  }
  for (const piece of pieces) writer.code(piece);
}
