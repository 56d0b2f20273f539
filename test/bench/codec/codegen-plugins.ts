import { execFileSync, spawnSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  CodeGeneratorRequestSchema,
  CodeGeneratorResponseSchema,
  type FileDescriptorSet,
} from "@bufbuild/protobuf/wkt";

export type Target = "js+dts" | "ts";

const root = join(import.meta.dirname, "../../..");

/** The plugin in one file, as published. */
export function bundled(folder: string): string {
  execFileSync(process.execPath, [join(root, "protoc-gen-micro/scripts/bundle.js"), folder]);
  return join(folder, "main.js");
}

/**
 * Runs both plugins on the same files alternately, and returns the best time of each in seconds.
 * The output goes to `es`, and to `both` together.
 */
export function pluginRuns(
  image: FileDescriptorSet,
  target: Target,
  plugin: string,
  output: string,
  repeats: number,
): { files: number; micro: number; es: number } {
  const names = image.file
    .map(({ name }) => name ?? "")
    .filter((it) => !it.startsWith("google/protobuf/"));
  const extension = target === "ts" ? "ts" : "js";
  const request = (options: string) =>
    toBinary(
      CodeGeneratorRequestSchema,
      create(CodeGeneratorRequestSchema, {
        fileToGenerate: names,
        parameter: `target=${target},import_extension=${extension}${options}`,
        protoFile: image.file,
      }),
    );
  const contenders = [
    { command: plugin, input: request(",codec=fast"), folders: ["both"], times: [] as number[] },
    {
      command: join(root, "node_modules/.bin/protoc-gen-es"),
      input: request(""),
      folders: ["es", "both"],
      times: [] as number[],
    },
  ] as const;
  for (let i = 0; i < repeats; i++) {
    for (const { command, input, folders, times } of contenders) {
      const began = performance.now();
      const { status, stdout, stderr } = spawnSync(process.execPath, [command], {
        input,
        maxBuffer: 2 ** 31 - 1,
      });
      times.push((performance.now() - began) / 1000);
      if (status !== 0) throw new Error(`${command}: ${stderr}`);
      if (i === 0) for (const folder of folders) writeAll(stdout, join(output, folder));
    }
  }
  const [micro, es] = contenders.map(({ times }) => Math.min(...times));
  return { files: names.length, micro: micro!, es: es! };
}

function writeAll(stdout: Uint8Array, folder: string): void {
  const response = fromBinary(CodeGeneratorResponseSchema, stdout);
  if (response.error) throw new Error(response.error);
  for (const file of response.file) {
    const path = join(folder, file.name ?? "");
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, file.content ?? "");
  }
}
