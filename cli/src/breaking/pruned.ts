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

/** Files that every schema has, of one version or another. */
const common = /^(google\/protobuf|micro\/v1)\//;

/**
 * The files that a service or event needs, without what in them belongs to others, as a descriptor set: what changed of
 * it can then be found by comparing files with those of the built schema. What every schema has is taken from the latter: a
 * new version of it is no change of this schema.
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

/** The closure, with the types that its nested ones stand in, and with what those need. */
function topLevel(
  root: SchemaType,
  typeClosure: Generator["typeClosure"],
): ReadonlySet<SchemaType> {
  const kept = new Set<SchemaType>(typeClosure(root));
  // A set that grows while it is walked is walked to its end.
  for (const type of kept) {
    const around = type.kind === "service" ? undefined : type.parent;
    const inside = type.kind === "message" ? type.nestedMessages : [];
    for (const other of around === undefined ? inside : [around, ...inside]) {
      for (const part of typeClosure(other)) kept.add(part);
    }
  }
  return kept;
}
