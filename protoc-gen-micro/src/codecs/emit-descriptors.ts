import type { DescFile, DescMessage } from "@bufbuild/protobuf";
import type { EmitContext } from "../emit/context.ts";
import { type Code, expanded, list, literal, type Name } from "../emit/layout.ts";
import type { Run } from "../model/run.ts";
import { isWellKnown } from "../model/well-known.ts";
import type { CodecNames } from "./codec-names.ts";
import { fieldTable } from "./field-table.ts";
import { nestedCodec } from "./nested-codec.ts";

/**
 * Writes the constant with which the file's codecs find their descriptors, once these are needed.
 */
export function emitDescriptors(context: EmitContext, run: Run, names: CodecNames): void {
  const { writer, model } = context;
  const own = model.messages.filter((message) => message.file === model.file);
  if (own.length === 0) return;
  const tables = own.map(fieldTable);
  const others = otherFiles(
    context,
    run,
    names,
    tables.flatMap(({ nested }) => nested),
  );
  writer.constant(
    {
      name: context.names.descriptors,
      exported: true,
      doc: "The descriptors of this file, loaded when they are first needed.",
    },
    { name: writer.type("FileDescriptors", "@micro-es/runtime/codegenv1"), args: [] },
    (_, indent) => {
      const style = { open: "[", close: "]", indent: indent + 2, trailingComma: true };
      const args: Code[] = [
        writer.importOfDescriptors(),
        expanded(
          tables.map(({ line }) => literal(line)),
          style,
        ),
      ];
      if (others.length > 0) {
        const room = { before: indent + 2, after: 1 };
        args.push(list(others, { ...style, open: "() => [" }, room));
      }
      const call = { open: "(", close: ")", indent, trailingComma: true };
      return ["/*@__PURE__*/ ", writer.value("fileDescriptors"), expanded(args, call)];
    },
  );
}

/** Stands for the files of google/protobuf that the runtime has codecs for. */
const wellKnown = "well-known";

/** The descriptors of the files that messages are from, and the codecs of foreign messages. */
function otherFiles(
  context: EmitContext,
  run: Run,
  names: CodecNames,
  nested: readonly DescMessage[],
): readonly Name[] {
  const { writer, model } = context;
  const found = new Map<DescFile | DescMessage | typeof wellKnown, Name>();
  for (const message of nested) {
    const { file } = message;
    if (file === model.file) continue;
    if (run.writes(file)) {
      if (!found.has(file)) {
        found.set(file, writer.imported(run.names(file).descriptors, file, "codec"));
      }
    } else if (isWellKnown(message)) {
      found.set(wellKnown, writer.wellKnown("wellKnownDescriptors"));
    } else if (!found.has(message)) {
      found.set(message, nestedCodec(context, run, names, message));
    }
  }
  return [...found.values()];
}
