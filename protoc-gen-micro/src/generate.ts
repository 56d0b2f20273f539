import type { DescFile } from "@bufbuild/protobuf";
import type { Schema } from "@bufbuild/protoplugin";
import { codecNames, emitCodecs } from "./codecs/emit-codecs.ts";
import { emitClient } from "./emit/client.ts";
import type { EmitContext } from "./emit/context.ts";
import { emitHandler } from "./emit/handler.ts";
import { ImportPaths } from "./emit/import-paths.ts";
import { emitCodecList, emitMessages } from "./emit/messages.ts";
import { emitMethods } from "./emit/methods.ts";
import { emitTopics } from "./emit/topics.ts";
import { type Target, Writer } from "./emit/writer.ts";
import { resolveReferences } from "./model/references.ts";
import { createRun, type Run } from "./model/run.ts";
import type { MicroOptions } from "./plugin-options.ts";

const extensions: Record<Target, string> = { ts: "ts", js: "js", dts: "d.ts" };

/** Writes the files of one target. */
export function generate(schema: Schema<MicroOptions>, target: Target): void {
  const run = createRun(schema.files, schema.allFiles, schema.options);
  const paths = new ImportPaths(schema.options);
  for (const file of schema.files) {
    const path = `${file.name}_micro`;
    const output = schema.generateFile(`${path}.${extensions[target]}`);
    output.preamble(file);
    const writer = new Writer(output, target, path, paths);
    emitFile(file, run, writer);
    writer.finish();
  }
}

/**
 * Writes one file: what its reader looks for first, then the wiring, then the tables. Codecs stand before what
 * uses them while the module is loaded.
 */
function emitFile(file: DescFile, run: Run, writer: Writer): void {
  const context: EmitContext = {
    writer,
    options: run.options,
    model: run.model(file),
    names: run.names(file),
    references: resolveReferences(file, run),
  };
  const { services } = context.model;
  for (const service of services) {
    if (run.options.client) emitClient(context, service);
    if (run.options.handler) emitHandler(context, service);
  }
  const functions = codecNames(context);
  emitMessages(context, functions);
  emitTopics(context);
  emitCodecList(context);
  for (const service of services) emitMethods(context, service);
  if (run.options.codec === "fast") emitCodecs(context, run, functions);
}
