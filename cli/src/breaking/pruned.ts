import {
  create,
  type DescFile,
  type DescMessage,
  type DescService,
  toBinary,
} from "@bufbuild/protobuf";
import { type FileDescriptorProto, FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import type { Generator } from "./generator.ts";

type SchemaType = Parameters<Generator["typeClosure"]>[0];

/** Files that every schema contains, in one version or another. */
const common = /^(google\/protobuf|micro\/v1)\//;

/**
 * The files that a service or event needs, without unrelated definitions, as a descriptor set.
 * Comparing its files with those of the built schema finds the changes. Files that every schema
 * contains come from the built schema: a new version of them is not a change of this schema.
 */
export function prunedTo(
  root: DescService | DescMessage,
  built: ReadonlyMap<string, FileDescriptorProto>,
  { typeClosure }: Generator,
): Uint8Array {
  const kept = topLevel(root, typeClosure);
  const files = new Set<DescFile>();
  const visit = (file: DescFile) => {
    if (files.has(file)) return;
    file.dependencies.forEach(visit);
    files.add(file);
  };
  visit(root.file);
  const file = Array.from(files, ({ proto, messages, enums, services }) => {
    if (common.test(proto.name)) return built.get(proto.name) ?? proto;
    const only = <T extends SchemaType>(types: readonly T[]) =>
      types.filter((type) => kept.has(type)).map((type) => type.proto as T["proto"]);
    return {
      ...proto,
      messageType: only(messages),
      enumType: only(enums),
      service: only(services),
      extension: [],
    };
  });
  return toBinary(FileDescriptorSetSchema, create(FileDescriptorSetSchema, { file }));
}

/** The closure, with the enclosing types of nested ones and their dependencies. */
function topLevel(
  root: SchemaType,
  typeClosure: Generator["typeClosure"],
): ReadonlySet<SchemaType> {
  const kept = new Set<SchemaType>(typeClosure(root));
  // Iteration includes entries that are added to a set meanwhile.
  for (const type of kept) {
    const around = type.kind === "service" ? undefined : type.parent;
    const inside = type.kind === "message" ? type.nestedMessages : [];
    for (const other of around === undefined ? inside : [around, ...inside]) {
      for (const part of typeClosure(other)) kept.add(part);
    }
  }
  return kept;
}
