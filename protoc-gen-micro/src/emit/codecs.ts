import { codecValue, type EmitContext } from "./context.ts";
import { sentence } from "./documentation.ts";
import { list } from "./layout.ts";

/** Writes the codecs of the messages. */
export function emitCodecs({ writer, references }: EmitContext): void {
  for (const [message, { kind, codec, init }] of references.messages) {
    if (kind === "imported") continue;
    const shape = writer.shape(message);
    writer.constant(
      {
        name: codec,
        exported: kind === "exported",
        doc: sentence(`Bytes of a {@link ${shape.name}}.`, message),
      },
      { name: writer.type("Codec"), args: [shape, writer.own(init)] },
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
