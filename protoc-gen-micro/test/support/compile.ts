import { execFileSync } from "node:child_process";
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { create, fromBinary } from "@bufbuild/protobuf";
import {
  type CodeGeneratorRequest,
  CodeGeneratorRequestSchema,
  type FileDescriptorProto,
  FileDescriptorSetSchema,
} from "@bufbuild/protobuf/wkt";
import type { Plugin } from "@bufbuild/protoplugin";
import { protocGenMicro } from "../../src/plugin.ts";

export const repository: string = join(import.meta.dirname, "../../..");

/** .proto sources by path, compiled by buf. */
export class Compiled {
  readonly #files: Map<string, FileDescriptorProto>;

  constructor(files: readonly FileDescriptorProto[]) {
    this.#files = new Map(files.map((file) => [file.name, file]));
  }

  /** What protoc would ask of a plugin: to generate these files, with all that they import. */
  request(names: readonly string[], parameter = "target=ts"): CodeGeneratorRequest {
    const closure = new Set<string>();
    for (const name of names) this.#close(name, closure);
    return create(CodeGeneratorRequestSchema, {
      fileToGenerate: [...names],
      parameter,
      protoFile: [...closure].map((name) => this.#files.get(name)!),
    });
  }

  #close(name: string, closure: Set<string>): void {
    if (closure.has(name)) return;
    const file = this.#files.get(name);
    if (file === undefined) throw new Error(`${name} was not compiled`);
    for (const dependency of file.dependency) this.#close(dependency, closure);
    closure.add(name);
  }
}

/**
 * Compiles .proto sources, as a user's buf does. One process for all of them: it costs a third of a
 * second. `micro/v1/options.proto` is there unless told otherwise.
 */
export function compile(
  sources: Readonly<Record<string, string>>,
  { withOptions = true }: { withOptions?: boolean } = {},
): Compiled {
  const folder = mkdtempSync(join(tmpdir(), "micro-compile-"));
  try {
    for (const [name, text] of Object.entries(sources)) {
      mkdirSync(dirname(join(folder, name)), { recursive: true });
      writeFileSync(join(folder, name), text);
    }
    if (withOptions) {
      const options = "micro/v1/options.proto";
      mkdirSync(dirname(join(folder, options)), { recursive: true });
      copyFileSync(join(repository, "proto", options), join(folder, options));
    }
    writeFileSync(join(folder, "buf.yaml"), "version: v2\n");
    const buf = join(repository, "node_modules/.bin/buf");
    const image = execFileSync(buf, ["build", "-o", "-"], {
      cwd: folder,
      maxBuffer: 1 << 28,
      stdio: ["ignore", "pipe", "pipe"],
    });
    return new Compiled(fromBinary(FileDescriptorSetSchema, image).file);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Runs a plugin and gives its files by name. @throws the plugin's error */
export function generate(
  request: CodeGeneratorRequest,
  plugin: Plugin = protocGenMicro,
): Map<string, string> {
  const response = plugin.run(request);
  if (response.error !== undefined && response.error !== "") throw new Error(response.error);
  return new Map(response.file.map((file) => [file.name ?? "", file.content ?? ""]));
}

/**
 * The files that protoc-gen-es writes next to ours. It is CommonJS, and its package exports only
 * the program.
 */
export const protocGenEs: Plugin = (
  createRequire(import.meta.url)(
    join(repository, "node_modules/@bufbuild/protoc-gen-es/dist/cjs/src/protoc-gen-es-plugin.js"),
  ) as { protocGenEs: Plugin }
).protocGenEs;

/** A .proto file of package `test.v1` that imports what tests need, with this behind it. */
export function proto(body: string, header = ""): string {
  return `syntax = "proto3";
package test.v1;
import "google/protobuf/empty.proto";
import "micro/v1/options.proto";
${header}
${body}`;
}
