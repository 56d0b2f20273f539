import { codecValue, type EmitContext } from "./context.ts";
import { sentence } from "./documentation.ts";
import { list } from "./layout.ts";

/**
 * Writes, for each message that is sent, the type of what may be given for it, and its codec. The type is exported
 * also for a message of another file: an editor that implements a handler can then import it, and otherwise
 * writes out all its fields.
 */
export function emitMessages({ writer, references }: EmitContext): void {
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
      [
        writer.type("MessageInitShape", "@bufbuild/protobuf"),
        "<typeof ",
        writer.schema(message).toTypeOnly(),
        ">",
      ],
    );
    writer.constant(
      { name: reference.codec, exported, doc: sentence(`Bytes of a ${link}.`, message) },
      { name: writer.type("Codec"), args: [shape, writer.own(reference.init)] },
      () => ["/*@__PURE__*/ ", writer.value("codec"), "(", writer.schema(message), ")"],
    );
  }
}

/** Writes the list of all codecs, for those who find a codec by the name of its type. */
export function emitCodecList(context: EmitContext): void {
  const { writer, references, names } = context;
  const codecs = [...references.messages.keys()].map((message) => codecValue(context, message));
  if (codecs.length === 0) return;
  writer.constant(
    {
      name: names.codecs,
      exported: true,
      doc: "The codecs of this file, to resolve messages by the name of their type.",
    },
    { name: ["readonly ", writer.type("AnyCodec"), "[]"], args: [] },
    (before) =>
      list(codecs, { open: "[", close: "]", indent: 0, trailingComma: true }, { before, after: 1 }),
  );
}
