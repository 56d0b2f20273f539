import type { DescFile, DescMessage } from "@bufbuild/protobuf";
import type { TopicDeclaration } from "../rules/topic.ts";
import { type MessageNames, messageNames } from "./file-names.ts";
import { identifier } from "./pb-names.ts";
import type { Run } from "./run.ts";
import { isWellKnown, wellKnownCodec } from "./well-known.ts";

/**
 * Where a declaration comes from: the file exports it, declares it for itself, or imports it from
 * the output of `from`.
 */
export type Origin =
  | { readonly kind: "exported" }
  | { readonly kind: "local" }
  | { readonly kind: "imported"; readonly from: DescFile };

/** The codec of a message may also be one of the runtime. */
export type MessageReference = MessageNames & (Origin | { readonly kind: "runtime" });
export type TopicReference = Origin & {
  readonly name: string;
  readonly topic: TopicDeclaration;
};

/** Where the codecs and topics of an output file come from. */
export interface References {
  readonly messages: ReadonlyMap<DescMessage, MessageReference>;
  readonly topics: ReadonlyMap<DescMessage, TopicReference>;
}

export function resolveReferences(file: DescFile, run: Run): References {
  return { messages: resolveMessages(file, run), topics: resolveTopics(file, run) };
}

/**
 * The codec of an imported message comes from the output of its file if this run writes that output
 * and it exports the codec; otherwise the importing file declares its own. So each codec is
 * exported once, and no import may be missing.
 */
function resolveMessages(file: DescFile, run: Run): Map<DescMessage, MessageReference> {
  const references = new Map<DescMessage, MessageReference>();
  for (const message of run.model(file).messages) {
    const theirs = run.names(message.file).messages.get(message);
    if (message.file === file && theirs !== undefined) {
      references.set(message, { ...theirs, kind: "exported" });
    } else if (run.writes(message.file) && theirs !== undefined) {
      references.set(message, { ...theirs, kind: "imported", from: message.file });
    } else if (run.options.codec === "fast" && isWellKnown(message)) {
      const { init } = messageNames(message, run.names(file).local);
      references.set(message, { init, codec: wellKnownCodec(message), kind: "runtime" });
    } else {
      references.set(message, {
        ...messageNames(message, run.names(file).local),
        kind: "local",
      });
    }
  }
  return references;
}

/**
 * The topics of the file's messages and of its subscribers. With `topics=false` no file exports
 * topics, and those of subscribers are local.
 */
function resolveTopics(file: DescFile, run: Run): Map<DescMessage, TopicReference> {
  const { options } = run;
  const { topics, services } = run.model(file);
  const references = new Map<DescMessage, TopicReference>();
  if (options.topics) {
    for (const topic of topics) {
      const name = run.names(file).topics.get(topic.message)!;
      references.set(topic.message, { kind: "exported", name, topic });
    }
  }
  if (!options.handler) return references;
  for (const rpc of services.flatMap((service) => service.rpcs)) {
    const message = rpc.desc.input;
    if (rpc.kind !== "subscriber" || references.has(message)) continue;
    const topic = run.topic(message)!;
    if (options.topics) {
      const name = run.names(message.file).topics.get(message)!;
      references.set(message, { kind: "imported", from: message.file, name, topic });
    } else {
      const names = run.names(file);
      const name = names.topics.get(message) ?? names.local(`${identifier(message)}Topic`);
      references.set(message, { kind: "local", name, topic });
    }
  }
  return references;
}
