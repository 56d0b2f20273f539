import { type DescField, type DescFile, type DescMessage, ScalarType } from "@bufbuild/protobuf";
import type { TopicRule } from "../gen/micro/v1/options_pb.ts";
import { nameProblem } from "./names.ts";
import { nearest } from "./nearest.ts";
import { nestedMessages } from "./nested-messages.ts";
import type { Problems } from "./problems.ts";
import { type Rules, topicOption } from "./read.ts";

/** The topic of a message, declared by `micro.v1.topic`. */
export interface TopicDeclaration {
  readonly message: DescMessage;
  readonly name: string;
  /** The field that orders the events. */
  readonly key: DescField | undefined;
}

const NAME = 1;
const KEY = 2;

/** Reads and checks the topic of a message. */
export function topicDeclaration(
  message: DescMessage,
  rule: TopicRule,
  problems: Problems,
): TopicDeclaration {
  const wrong = nameProblem(rule.name);
  if (wrong !== undefined) {
    problems.add("MICRO_TOPIC_NAME", message, [...topicOption, NAME], `topic.name ${wrong}`);
  }
  return { message, name: rule.name, key: keyField(message, rule, problems) };
}

function keyField(
  message: DescMessage,
  rule: TopicRule,
  problems: Problems,
): DescField | undefined {
  if (rule.key === "") return undefined;
  const field = message.fields.find((candidate) => candidate.name === rule.key);
  const usable = message.fields.filter((candidate) => keyObstacle(candidate) === undefined);
  const wrong = field === undefined ? "is not a field of the message" : keyObstacle(field);
  if (wrong === undefined) return field;
  const names = usable.map((candidate) => candidate.name);
  const guess = field === undefined ? nearest(rule.key, names) : undefined;
  const remedy =
    guess !== undefined
      ? `did you mean ${guess}?`
      : names.length > 0
        ? `use one of ${names.join(", ")}`
        : "remove it, or add a scalar field";
  problems.add(
    "MICRO_TOPIC_KEY",
    message,
    [...topicOption, KEY],
    `topic.key ${JSON.stringify(rule.key)} ${wrong}; ${remedy}`,
  );
  return undefined;
}

/** Reports messages that share a topic if at least one of them is in a checked file. */
export function checkTopicNames(
  allFiles: readonly DescFile[],
  checked: ReadonlySet<DescFile>,
  rules: Rules,
  problems: Problems,
): void {
  const owners = new Map<string, DescMessage>();
  for (const file of allFiles) {
    for (const message of nestedMessages(file)) {
      const name = rules.topic(message)?.name;
      if (name === undefined || name === "") continue;
      const owner = owners.get(name);
      if (owner === undefined) owners.set(name, message);
      else reportSharedTopic(name, owner, message, checked, problems);
    }
  }
}

function reportSharedTopic(
  name: string,
  first: DescMessage,
  second: DescMessage,
  checked: ReadonlySet<DescFile>,
  problems: Problems,
): void {
  const [reported, other] = checked.has(second.file) ? [second, first] : [first, second];
  if (!checked.has(reported.file)) return;
  const shared = `topic.name ${JSON.stringify(name)} is also the topic of ${other.typeName}`;
  problems.add(
    "MICRO_TOPIC_UNIQUE",
    reported,
    [...topicOption, NAME],
    `${shared}; a topic has a single event type, so rename one of them`,
  );
}

/** Why a field cannot be a key, as a clause for an error message; undefined if it can. */
function keyObstacle(field: DescField): string | undefined {
  if (field.fieldKind === "list") return "is a repeated field";
  if (field.fieldKind === "map") return "is a map";
  if (field.fieldKind === "message") return "is a message";
  if (field.oneof !== undefined) return `is a member of the oneof ${field.oneof.name}`;
  if (field.scalar === ScalarType.BYTES) return "is a bytes field";
  return undefined;
}
