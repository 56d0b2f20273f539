import type { DescMessage } from "@bufbuild/protobuf";
import type { EmitContext } from "../emit/context.ts";
import type { Name } from "../emit/layout.ts";
import type { Run } from "../model/run.ts";
import { isWellKnown, wellKnownCodec } from "../model/well-known.ts";
import type { CodecNames } from "./codec-names.ts";

/**
 * The constant with the codec of a message that a message of the file contains.
 *
 * @param foreign receives messages whose codec the file has to declare for itself
 */
export function nestedCodec(
  { writer, references }: EmitContext,
  run: Run,
  names: CodecNames,
  message: DescMessage,
  foreign?: Map<DescMessage, Name>,
): Name {
  const reference = references.messages.get(message);
  if (reference?.kind === "exported" || reference?.kind === "local") {
    return writer.declared(reference.codec);
  }
  const theirs = run.names(message.file).messages.get(message);
  if (run.writes(message.file) && theirs !== undefined) {
    return writer.imported(theirs.codec, message.file, "codec");
  }
  if (isWellKnown(message)) return writer.wellKnown(wellKnownCodec(message));
  const name = names.foreign(message);
  foreign?.set(message, name);
  return name;
}
