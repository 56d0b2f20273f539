import type { DescFile, DescMessage } from "@bufbuild/protobuf";
import type { MicroOptions } from "../plugin-options.ts";
import { nestedMessages } from "../rules/nested-messages.ts";
import type { Problems } from "../rules/problems.ts";
import type { Rules } from "../rules/read.ts";
import { type Declarations, declarationsOf } from "./declarations.ts";

/** What is written for a .proto file. */
export interface FileModel extends Declarations {
  /**
   * Messages that the output needs a codec of, in the order they are first used: those that are sent, and under
   * `codec=fast` all of the file, because messages are parts of others.
   */
  readonly messages: readonly DescMessage[];
}

/** Makes the model of a file; what is wrong in its options goes to `problems`. */
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
