import { execFile } from "node:child_process";
import { stat } from "node:fs/promises";
import { dirname, join, relative, resolve } from "node:path";
import { promisify } from "node:util";
import { createFileRegistry, type FileRegistry, fromBinary } from "@bufbuild/protobuf";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import type { Client } from "@micro-es/runtime";
import { withModules } from "../buf/modules.ts";
import { commandPath } from "../command-path.ts";
import { UsageError } from "../errors.ts";
import { exists, readInput } from "../files.ts";
import type { Target } from "../target.ts";
import { type Reflected, reflect } from "./reflection.ts";
import type { SchemaOptions } from "./schema-options.ts";

const run = promisify(execFile);

/** The schema of the target, by the options or else by reflection. */
export async function loadSchema(
  client: Client,
  target: Target,
  options: SchemaOptions,
  signal: AbortSignal,
): Promise<Reflected> {
  return (await schemaFromFiles(options)) ?? reflect(client, { ...target.call, signal });
}

/** The schema that the options name; undefined if they name none. */
export async function schemaFromFiles(options: SchemaOptions): Promise<Reflected | undefined> {
  const { proto, "descriptor-set": set } = options;
  if (proto !== undefined && set !== undefined) {
    throw new UsageError("--proto and --descriptor-set exclude each other");
  }
  if (proto !== undefined) return withServices(await schemaOfProto(proto));
  return set === undefined ? undefined : withServices(await schemaOfDescriptorSet(set));
}

/** A schema from a `.proto` file, or from a folder of them; `buf` compiles it. */
async function schemaOfProto(path: string): Promise<FileRegistry> {
  const isFile = await stat(path).then(
    (found) => found.isFile(),
    () => {
      throw new UsageError(`there is no file or folder ${path}`);
    },
  );
  return registryOf(await buildImage(path, isFile ? "#include_package_files=true" : ""), path);
}

/**
 * Compiles a `.proto` file or a folder of them to a descriptor set, with source information.
 *
 * @param more options of the input, as buf writes them
 * @throws UsageError with the message of buf, or if buf is not installed.
 */
export async function buildImage(path: string, more = ""): Promise<Uint8Array> {
  const absolute = resolve(path);
  const project = await projectAround(absolute);
  if (project === undefined) return runBuild(`${path}${more}`, path);
  return withModules(project, (folder) => {
    const input = folder === project ? path : join(folder, relative(project, absolute));
    return runBuild(`${input}${more}`, path);
  });
}

/** The folder whose buf.yaml lists the module of a file or folder. */
async function projectAround(path: string): Promise<string | undefined> {
  for (let folder = path; ; folder = dirname(folder)) {
    if (await exists(join(folder, "buf.yaml"))) return folder;
    if (folder === dirname(folder)) return undefined;
  }
}

async function runBuild(input: string, shown: string): Promise<Uint8Array> {
  try {
    const { stdout } = await run("buf", ["build", input, "-o", "-#format=binpb"], {
      encoding: "buffer",
      maxBuffer: 512 * 1024 * 1024,
      env: { ...process.env, PATH: commandPath(process.env) },
    });
    return stdout;
  } catch (reason) {
    const { code, stderr } = reason as { code?: unknown; stderr?: Buffer };
    if (code === "ENOENT") {
      throw new UsageError("compiling .proto files needs buf: npm i -D @bufbuild/buf");
    }
    throw new UsageError(`buf cannot compile ${shown}:\n${stderr?.toString().trim() ?? reason}`);
  }
}

/**
 * A schema from a descriptor set: the output of `buf build -o x.binpb` or `protoc --include_imports
 * -o x`.
 */
async function schemaOfDescriptorSet(path: string): Promise<FileRegistry> {
  return registryOf(await readInput(path), path);
}

function registryOf(bytes: Uint8Array, path: string): FileRegistry {
  try {
    return createFileRegistry(fromBinary(FileDescriptorSetSchema, bytes));
  } catch (reason) {
    throw new UsageError(
      `${path} is not a descriptor set with all its imports (buf build -o ${path}): ${(reason as Error).message}`,
    );
  }
}

function withServices(registry: FileRegistry): Reflected {
  const services: string[] = [];
  for (const type of registry) if (type.kind === "service") services.push(type.typeName);
  return { registry, services };
}
