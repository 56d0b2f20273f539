import type { DescFile, DescMessage } from "@bufbuild/protobuf";
import type { MicroOptions } from "../plugin-options.ts";
import { Problems } from "../rules/problems.ts";
import { createRules } from "../rules/read.ts";
import { checkTopicNames, type TopicDeclaration, topicDeclaration } from "../rules/topic.ts";
import { createFileModel, type FileModel } from "./file-model.ts";
import { type FileNames, fileNames } from "./file-names.ts";

/** One run of the plugin over the files of a request. */
export interface Run {
  readonly options: MicroOptions;
  /** Whether this run generates the output of a file. */
  writes(file: DescFile): boolean;
  model(file: DescFile): FileModel;
  names(file: DescFile): FileNames;
  /** The topic of a message; undefined when the message is not an event. */
  topic(message: DescMessage): TopicDeclaration | undefined;
}

/**
 * Reads and checks all files of a run.
 * @throws InvalidSchema when the files to generate have invalid options
 */
export function createRun(
  files: readonly DescFile[],
  allFiles: readonly DescFile[],
  options: MicroOptions,
): Run {
  const rules = createRules(allFiles);
  const written = new Set(files);
  const models = new Map<DescFile, FileModel>();
  const names = new Map<DescFile, FileNames>();
  const problems = new Problems();
  for (const file of files) models.set(file, createFileModel(file, rules, options, problems));
  checkTopicNames(allFiles, written, rules, problems);
  problems.throwIfAny();

  const run: Run = {
    options,
    writes: (file) => written.has(file),
    // Problems in a file that is only imported are reported by the run that generates it.
    model: (file) =>
      cached(models, file, () => createFileModel(file, rules, options, new Problems())),
    names: (file) => cached(names, file, () => fileNames(run.model(file))),
    topic(message) {
      const rule = rules.topic(message);
      return rule && topicDeclaration(message, rule, new Problems());
    },
  };
  return run;
}

function cached<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  let value = map.get(key);
  if (value === undefined) {
    value = make();
    map.set(key, value);
  }
  return value;
}
