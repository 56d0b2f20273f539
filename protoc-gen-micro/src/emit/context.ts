import type { DescFile, DescMessage } from "@bufbuild/protobuf";
import type { FileModel } from "../model/file-model.ts";
import type { FileNames } from "../model/file-names.ts";
import type { MessageReference, References } from "../model/references.ts";
import type { MicroOptions } from "../plugin-options.ts";
import { type Code, columnAfter, list, literal, type Name } from "./layout.ts";
import type { OutputKind } from "./output-path.ts";
import type { Writer } from "./writer.ts";

/** The input for each part of an output file. */
export interface EmitContext {
  /** Which of the two output files is written. */
  readonly kind: OutputKind;
  readonly writer: Writer;
  readonly options: MicroOptions;
  readonly model: FileModel;
  readonly names: FileNames;
  /** The names of another file of the run. */
  readonly otherNames: (file: DescFile) => FileNames;
  readonly references: References;
}

/** The type of a message's initializer. */
export function initType(context: EmitContext, message: DescMessage): Name {
  const reference = context.references.messages.get(message)!;
  return messageName(context, reference, reference.init, true);
}

/** The codec of a message. */
export function codecValue(context: EmitContext, message: DescMessage): Name {
  const reference = context.references.messages.get(message)!;
  return messageName(context, reference, reference.codec, false);
}

function messageName(
  { kind, writer, model }: EmitContext,
  reference: MessageReference,
  name: string,
  typeOnly: boolean,
): Name {
  if (reference.kind === "imported") {
    return writer.imported(name, reference.from, "codec", typeOnly);
  }
  if (reference.kind === "runtime" && !typeOnly) return writer.wellKnown(name);
  return reference.kind === "exported" && kind === "micro"
    ? writer.imported(name, model.file, "codec", typeOnly)
    : writer.declared(name);
}

/**
 * The codec of a message together with its descriptor, which formats other than protobuf need. The
 * module of the descriptor is imported when one is first needed, because loading the half of
 * protobuf-es that describes messages takes longer than all else that a service loads.
 *
 * @param line the indentation of its line, and the number of columns before it
 */
export function describedCodec(
  context: EmitContext,
  message: DescMessage,
  line: { readonly indent: number; readonly before: number },
): Code {
  const codec = codecValue(context, message);
  const reference = context.references.messages.get(message)!;
  if (context.options.codec === "reflect" || reference.kind === "local") return codec;
  const { writer } = context;
  const head = ["/*@__PURE__*/ ", writer.value("described")];
  const style = { open: "(", close: ")", indent: line.indent, trailingComma: true };
  const room = { before: columnAfter(head, line.before), after: 1 };
  const descriptors = descriptorsValue(context, message.file, reference);
  return [head, list([codec, descriptors, literal(writer.schemaName(message))], style, room)];
}

/** The descriptors of a message's file. */
function descriptorsValue(
  { kind, writer, model, names, otherNames }: EmitContext,
  file: DescFile,
  reference: MessageReference,
): Name {
  if (reference.kind === "imported") {
    return writer.imported(otherNames(file).descriptors, file, "codec");
  }
  if (reference.kind === "runtime") return writer.wellKnown("wellKnownDescriptors");
  return kind === "micro"
    ? writer.imported(names.descriptors, model.file, "codec")
    : writer.declared(names.descriptors);
}

/** The topic of an event. */
export function topicValue(context: EmitContext, message: DescMessage): Name {
  const reference = context.references.topics.get(message)!;
  return reference.kind === "imported"
    ? context.writer.imported(reference.name, reference.from, "micro")
    : context.writer.declared(reference.name);
}
