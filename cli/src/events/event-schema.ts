import { type DescMessage, type FileRegistry, getOption, hasOption } from "@bufbuild/protobuf";
import type { Client, Registry } from "@micro-es/runtime";
import { topic as topicOption } from "@micro-es/runtime/gen/micro/v1/options_pb.js";
import type { BackendParts } from "../backend-parts.ts";
import { UsageError } from "../errors.ts";
import { nearestFew } from "../nearest.ts";
import { reflect } from "../schema/reflection.ts";
import { schemaFromFiles } from "../schema/sources.ts";
import type { EventSchemaOptions } from "./event-schema-options.ts";

/**
 * The schema of a topic's events; undefined if no option sets it and no running service subscribes
 * to it.
 */
export async function eventSchema(
  backend: BackendParts,
  topic: string,
  options: EventSchemaOptions,
  signal: AbortSignal,
): Promise<FileRegistry | undefined> {
  const given = await schemaFromFiles(options);
  if (given !== undefined) return given.registry;
  const service = options.service ?? (await subscriberOf(backend.registry, topic, signal));
  if (service === undefined) return undefined;
  return (await ask(backend.client(), service, signal)).registry;
}

async function ask(client: Client, service: string, signal: AbortSignal) {
  return reflect(client, { service, signal });
}

/** The name of a service that subscribes to the topic, from its registered endpoints. */
async function subscriberOf(
  registry: Registry,
  topic: string,
  signal: AbortSignal,
): Promise<string | undefined> {
  for (const name of await registry.list({ signal })) {
    const nodes = await registry.get(name, { signal });
    const subscribes = nodes.some(({ endpoints }) =>
      endpoints.some(({ metadata }) => metadata.subscriber === "true" && metadata.topic === topic),
    );
    if (subscribes) return name;
  }
  return undefined;
}

/**
 * The message of a topic, from the schema.
 *
 * @throws UsageError if no message has the topic.
 */
export function messageOfTopic(schema: FileRegistry, topic: string): DescMessage {
  const topics = new Map<string, DescMessage>();
  for (const type of schema) {
    if (type.kind === "message" && hasOption(type, topicOption)) {
      topics.set(getOption(type, topicOption).name, type);
    }
  }
  const found = topics.get(topic);
  if (found !== undefined) return found;
  const names = nearestFew(topic, [...topics.keys()]);
  const hint = names.length === 0 ? "it has no topics" : `it has: ${names.join(", ")}`;
  throw new UsageError(
    `the schema has no message for the topic ${topic}; ${hint}; --type names one`,
  );
}

/** The field that orders a topic's events; undefined if the schema has none. */
export function keyFieldOf(message: DescMessage): string | undefined {
  if (!hasOption(message, topicOption)) return undefined;
  const { key } = getOption(message, topicOption);
  return message.fields.find(({ name }) => name === key)?.localName;
}
