import type { DescMessage } from "@bufbuild/protobuf";
import type { FileModel } from "../model/file-model.ts";
import type { FileNames } from "../model/file-names.ts";
import type { References } from "../model/references.ts";
import type { MicroOptions } from "../plugin-options.ts";
import type { Code, Name } from "./layout.ts";
import type { Writer } from "./writer.ts";

/** What every part of an output file is written from. */
export interface EmitContext {
  readonly writer: Writer;
  readonly options: MicroOptions;
  readonly model: FileModel;
  readonly names: FileNames;
  readonly references: References;
}

/** The type of what may be given for a message. */
export function initType({ writer, references }: EmitContext, message: DescMessage): Name {
  const reference = references.messages.get(message)!;
  return reference.kind === "imported"
    ? writer.imported(reference.init, reference.from, true)
    : writer.own(reference.init);
}

/** The codec of a message. */
export function codecValue(context: EmitContext, message: DescMessage): Name {
  const reference = context.references.messages.get(message)!;
  return reference.kind === "imported"
    ? context.writer.imported(reference.codec, reference.from)
    : context.writer.own(reference.codec);
}

/**
 * The codec of a message along with its descriptor, which formats other than protobuf's work from. Codecs that
 * are generated come without, so that who uses one alone has no descriptors to load.
 */
export function describedCodec(context: EmitContext, message: DescMessage): Code {
  const codec = codecValue(context, message);
  const { kind } = context.references.messages.get(message)!;
  if (context.options.codec === "reflect" || kind === "local") return codec;
  const { writer } = context;
  const described = writer.value("described");
  return ["/*@__PURE__*/ ", described, "(", codec, ", ", writer.schema(message), ")"];
}

/** The topic whose events a message is. */
export function topicValue(context: EmitContext, message: DescMessage): Name {
  const reference = context.references.topics.get(message)!;
  return reference.kind === "imported"
    ? context.writer.imported(reference.name, reference.from)
    : context.writer.own(reference.name);
}
