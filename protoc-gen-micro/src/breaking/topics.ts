import type { DescFile } from "@bufbuild/protobuf";
import { topicOption } from "../rules/read.ts";
import { sourcePosition } from "../rules/source-info.ts";
import type { TopicDeclaration } from "../rules/topic.ts";
import type { Place, ReportChange } from "./changes.ts";
import type { SchemaSide } from "./schema-side.ts";

const NAME = 1;
const KEY = 2;

/** Compares the topics of the old schema with those of the new one. */
export function compareTopics(
  was: SchemaSide,
  now: SchemaSide,
  concerns: (topic: TopicDeclaration) => boolean,
  report: ReportChange,
): void {
  for (const old of was.topics.values()) {
    if (!concerns(old)) continue;
    const current = now.topics.get(old.name);
    if (current === undefined) reportLost(old, now, report);
    else compareTopic(old, current, report);
  }
}

function compareTopic(
  old: TopicDeclaration,
  current: TopicDeclaration,
  report: ReportChange,
): void {
  const topic = JSON.stringify(old.name);
  if (old.message.typeName !== current.message.typeName) {
    report(
      "MICRO_TOPIC_SAME_EVENT",
      at(current, NAME),
      at(old, NAME),
      `topic ${topic} had events of type ${old.message.typeName} and now has ${current.message.typeName}; subscribers reject events of another type: give the new type its own topic`,
    );
    return;
  }
  const [before, after] = [old.key?.name, current.key?.name];
  if (before === after) return;
  const change =
    before === undefined
      ? `had no key and now has ${after}`
      : after === undefined
        ? `had the key ${before} and now has none`
        : `had the key ${before} and now has ${after}`;
  report(
    "MICRO_TOPIC_SAME_KEY",
    at(current, KEY),
    at(old, KEY),
    `topic ${topic} ${change}; events lose their order while old and new publishers run: keep the key, or publish to a new topic`,
  );
}

function reportLost(old: TopicDeclaration, now: SchemaSide, report: ReportChange): void {
  const topic = JSON.stringify(old.name);
  const { typeName, file } = old.message;
  for (const current of now.topics.values()) {
    if (current.message.typeName !== typeName) continue;
    report(
      "MICRO_TOPIC_SAME_NAME",
      at(current, NAME),
      at(old, NAME),
      `topic ${topic} of ${typeName} is now ${JSON.stringify(current.name)}; subscribers of the old name receive nothing: keep the name, or publish to both until it has no subscribers`,
    );
    return;
  }
  const message = now.messages.get(typeName);
  const declared = sourcePosition(old.message, at(old, NAME).optionPath);
  report(
    "MICRO_TOPIC_NO_DELETE",
    message === undefined ? nearestFile(file, now) : { element: message },
    at(old, NAME),
    `topic ${topic}, declared at ${declared}, was deleted; its subscribers receive nothing: keep it until it has no subscribers`,
  );
}

/**
 * The file of the same name, or one of the same package, because a finding without a file is hard
 * to follow.
 */
function nearestFile(old: DescFile, now: SchemaSide): DescFile | undefined {
  const same = now.files.get(old.proto.name);
  if (same !== undefined) return same;
  return [...now.files.values()].find((file) => file.proto.package === old.proto.package);
}

function at({ message }: TopicDeclaration, field: number): Required<Place> {
  return { element: message, optionPath: [...topicOption, field] };
}
