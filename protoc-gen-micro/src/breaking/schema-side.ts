import type { DescFile, DescMessage } from "@bufbuild/protobuf";
import { declarationsOf, type ServiceModel } from "../model/declarations.ts";
import { nestedMessages } from "../rules/nested-messages.ts";
import { Problems } from "../rules/problems.ts";
import { createRules } from "../rules/read.ts";
import type { TopicDeclaration } from "../rules/topic.ts";

export type Rpc = ServiceModel["rpcs"][number];

/** The declarations of the old or the new schema, by name. */
export interface SchemaSide {
  readonly files: ReadonlyMap<string, DescFile>;
  readonly services: ReadonlyMap<string, ServiceModel>;
  /** By the full name of the service and the name of the rpc, such as `acme.v1.Greeter/Hello`. */
  readonly rpcs: ReadonlyMap<string, Rpc>;
  readonly topics: ReadonlyMap<string, TopicDeclaration>;
  readonly messages: ReadonlyMap<string, DescMessage>;
}

/** Reads a schema. Lint and the generator report invalid options. */
export function readSide(allFiles: readonly DescFile[]): SchemaSide {
  const rules = createRules(allFiles);
  const files = new Map<string, DescFile>();
  const services = new Map<string, ServiceModel>();
  const rpcs = new Map<string, Rpc>();
  const topics = new Map<string, TopicDeclaration>();
  const messages = new Map<string, DescMessage>();
  for (const file of allFiles) {
    files.set(file.proto.name, file);
    const declarations = declarationsOf(file, rules, new Problems());
    for (const service of declarations.services) {
      services.set(service.desc.typeName, service);
      for (const rpc of service.rpcs) rpcs.set(`${service.desc.typeName}/${rpc.desc.name}`, rpc);
    }
    for (const topic of declarations.topics) topics.set(topic.name, topic);
    for (const message of nestedMessages(file)) messages.set(message.typeName, message);
  }
  return { files, services, rpcs, topics, messages };
}
