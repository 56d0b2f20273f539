import { create, createFileRegistry, type FileRegistry } from "@bufbuild/protobuf";
import { type FileDescriptorProto, FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";

/**
 * Creates a registry of files that are in any order and include all their imports.
 * @throws Error that names a missing import
 */
export function describeFiles(files: Iterable<FileDescriptorProto>): FileRegistry {
  return createFileRegistry(create(FileDescriptorSetSchema, { file: importsFirst(files) }));
}

function importsFirst(files: Iterable<FileDescriptorProto>): FileDescriptorProto[] {
  const byName = new Map(Array.from(files, (file) => [file.name, file]));
  const ordered = new Set<FileDescriptorProto>();
  const visited = new Set<FileDescriptorProto>();
  const visit = (file: FileDescriptorProto | undefined) => {
    if (file === undefined || visited.has(file)) return;
    visited.add(file);
    for (const name of file.dependency) visit(byName.get(name));
    ordered.add(file);
  };
  for (const file of byName.values()) visit(file);
  return [...ordered];
}
