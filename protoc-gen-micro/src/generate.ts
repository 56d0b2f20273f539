import type { DescFile } from "@bufbuild/protobuf";
import type { Schema } from "@bufbuild/protoplugin";
import { codecNames, emitCodecs } from "./codecs/emit-codecs.ts";
import { emitDescriptors } from "./codecs/emit-descriptors.ts";
import { emitClient } from "./emit/client.ts";
import type { EmitContext } from "./emit/context.ts";
import { emitHandler } from "./emit/handler.ts";
import { ImportPaths } from "./emit/import-paths.ts";
import {
  emitCodecList,
  emitForeignMessages,
  emitMessages,
  reexportCodecs,
} from "./emit/messages.ts";
import { emitMethods } from "./emit/methods.ts";
import type { OutputKind } from "./emit/output-path.ts";
import { emitTopics } from "./emit/topics.ts";
import { type Target, Writer } from "./emit/writer.ts";
import { resolveReferences } from "./model/references.ts";
import { createRun, type Run } from "./model/run.ts";
import type { MicroOptions } from "./plugin-options.ts";
import { checkNames } from "./rules/broken-names.ts";

const extensions: Record<Target, string> = { ts: "ts", js: "js", dts: "d.ts" };

/** Writes the output files for one target: two for each .proto file. */
export function generate(schema: Schema<MicroOptions>, target: Target): void {
  checkNames(schema.files, target, schema.options);
  const run = createRun(schema.files, schema.allFiles, schema.options);
  const paths = new ImportPaths(schema.options);
  for (const file of schema.files) {
    const shared = {
      options: run.options,
      model: run.model(file),
      names: run.names(file),
      otherNames: (other: DescFile) => run.names(other),
      references: resolveReferences(file, run),
    };
    const write = (kind: OutputKind, emit: (context: EmitContext) => void) => {
      const output = schema.generateFile(`${file.name}_${kind}.${extensions[target]}`);
      output.preamble(file);
      const writer = new Writer(output, target, { file, kind }, paths);
      emit({ ...shared, kind, writer });
      writer.finish();
    };
    write("micro", (context) => emitMicroFile(context));
    write("codec", (context) => emitCodecFile(context, run));
  }
}

/**
 * Writes the file that applications import and developers read: interfaces first, then the wiring.
 */
function emitMicroFile(context: EmitContext): void {
  const { options } = context;
  const { services } = context.model;
  for (const service of services) {
    if (options.client) emitClient(context, service);
    if (options.handler) emitHandler(context, service);
  }
  emitForeignMessages(context);
  emitTopics(context);
  for (const service of services) emitMethods(context, service);
  reexportCodecs(context);
}

/** Writes the initializers and codecs of the messages. */
function emitCodecFile(context: EmitContext, run: Run): void {
  const functions = codecNames(context);
  emitMessages(context, functions);
  if (run.options.codec === "fast") emitDescriptors(context, run, functions);
  emitCodecList(context);
  if (run.options.codec === "fast") emitCodecs(context, run, functions);
}
