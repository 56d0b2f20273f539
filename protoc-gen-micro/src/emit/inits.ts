import type { EmitContext } from "./context.ts";
import { sentence } from "./documentation.ts";

/** Writes the types of what may be given for the messages that are sent. */
export function emitInits({ writer, references }: EmitContext): void {
  for (const [message, { kind, init }] of references.messages) {
    if (kind === "imported") continue;
    const shape = writer.shape(message);
    writer.typeAlias(
      {
        name: init,
        exported: kind === "exported",
        doc: sentence(
          `What may be given for a {@link ${shape.name}}: every field is optional.`,
          message,
        ),
      },
      [
        writer.type("MessageInitShape", "@bufbuild/protobuf"),
        "<typeof ",
        writer.schema(message).toTypeOnly(),
        ">",
      ],
    );
  }
}
