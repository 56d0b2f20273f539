/** What tools beside the generator ask of a schema: by what names it is found, and whether it is another one. */
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
  /** The name that it is found by. */
  readonly registryName: string;
  readonly digest: string;
}

export interface DescribedTopic {
  readonly message: DescMessage;
  readonly digest: string;
}

/** The services of a schema by their full names, and its topics by theirs. */
export interface DescribedSchema {
  readonly services: ReadonlyMap<string, DescribedService>;
  readonly topics: ReadonlyMap<string, DescribedTopic>;
}

/** Reads what a schema declares, with the digests that generated code carries. */
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
