import { readFile, stat } from "node:fs/promises";
import { fromBinary } from "@bufbuild/protobuf";
import { type FileDescriptorProto, FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { UsageError } from "../errors.ts";
import { buildImage } from "../schema/sources.ts";
import type { Generator } from "./generator.ts";

/** The schema to be released. */
export interface BuiltSchema extends ReturnType<Generator["describeSchema"]> {
  /** A descriptor set, with source information if it was compiled here. */
  readonly image: Uint8Array;
  readonly files: ReadonlyMap<string, FileDescriptorProto>;
  readonly packages: ReadonlySet<string>;
}

/**
 * Reads a schema from a folder with a buf.yaml, a `.proto` file, or a descriptor set.
 *
 * @throws UsageError for other input, with the message of buf.
 */
export async function builtSchema(path: string, generator: Generator): Promise<BuiltSchema> {
  const found = await stat(path).catch(() => {
    throw new UsageError(`there is no file or folder ${path}`);
  });
  const compiled = found.isDirectory() || path.endsWith(".proto");
  const image = compiled ? await buildImage(path) : await readFile(path);
  const { file } = fromBinary(FileDescriptorSetSchema, image);
  const schema = generator.describeSchema(generator.describeFiles(file).files);
  if (schema.services.size + schema.topics.size === 0) {
    throw new UsageError(`${path} declares no service and no topic to compare`);
  }
  const roots = [
    ...[...schema.services.values()].map(({ desc }) => desc.file),
    ...[...schema.topics.values()].map(({ message }) => message.file),
  ];
  const packages = new Set(roots.map(({ proto }) => proto.package));
  return { ...schema, image, files: new Map(file.map((it) => [it.name, it])), packages };
}
