/**
 * Schema queries for other tools: the names of services and topics, and digests that detect
 * changes.
 */
import type { DescFile, DescMessage, DescService } from "@bufbuild/protobuf";
import { declarationsOf } from "./model/declarations.ts";
import { Problems } from "./rules/problems.ts";
import { createRules } from "./rules/read.ts";
import { schemaDigest } from "./schema/digest.ts";

export { describeFiles } from "./schema/describe-files.ts";
export { schemaDigest } from "./schema/digest.ts";
export { type SchemaType, typeClosure } from "./schema/type-closure.ts";

export interface DescribedService {
  readonly desc: DescService;
  /** The name under which the registry finds it. */
  readonly registryName: string;
  readonly digest: string;
}

export interface DescribedTopic {
  readonly message: DescMessage;
  readonly digest: string;
}

/** The services of a schema by full name, and its topics by name. */
export interface DescribedSchema {
  readonly services: ReadonlyMap<string, DescribedService>;
  readonly topics: ReadonlyMap<string, DescribedTopic>;
}

/** Reads the declarations of a schema, with the digests that generated code contains. */
export function describeSchema(files: Iterable<DescFile>): DescribedSchema {
  const all = [...files];
  const rules = createRules(all);
  const services = new Map<string, DescribedService>();
  const topics = new Map<string, DescribedTopic>();
  for (const file of all) {
    const declarations = declarationsOf(file, rules, new Problems());
    for (const { desc, registryName } of declarations.services) {
      services.set(desc.typeName, { desc, registryName, digest: schemaDigest(desc) });
    }
    for (const { name, message } of declarations.topics) {
      topics.set(name, { message, digest: schemaDigest(message) });
    }
  }
  return { services, topics };
}
