import type { DescFile, DescMessage } from "@bufbuild/protobuf";
import type { MicroOptions } from "../plugin-options.ts";
import { nestedMessages } from "../rules/nested-messages.ts";
import type { Problems } from "../rules/problems.ts";
import type { Rules } from "../rules/read.ts";
import { type Declarations, declarationsOf } from "./declarations.ts";

/** The input for the output files of a .proto file. */
export interface FileModel extends Declarations {
  /**
   * Messages whose codecs the output needs, in the order of first use: those that are sent and,
   * with `codec=fast`, all messages of the file, because messages contain others.
   */
  readonly messages: readonly DescMessage[];
}

/** Creates the model of a file, and reports mistakes in its options to `problems`. */
export function createFileModel(
  file: DescFile,
  rules: Rules,
  options: MicroOptions,
  problems: Problems,
): FileModel {
  const declarations = declarationsOf(file, rules, problems);
  const messages = new Set<DescMessage>();
  for (const { rpcs } of declarations.services) {
    for (const rpc of rpcs) {
      if (rpc.kind === "method") messages.add(rpc.desc.input).add(rpc.desc.output);
      else if (!options.topics && options.handler) messages.add(rpc.desc.input);
    }
  }
  if (options.topics) for (const { message } of declarations.topics) messages.add(message);
  if (options.codec === "fast") for (const message of nestedMessages(file)) messages.add(message);
  return { ...declarations, messages: [...messages] };
}
