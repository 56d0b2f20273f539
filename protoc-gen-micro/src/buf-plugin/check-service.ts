import type { DescFile, MessageInitShape } from "@bufbuild/protobuf";
import { breakingRules } from "../breaking/breaking-rules.ts";
import type { Place } from "../breaking/changes.ts";
import { compareSchemas } from "../breaking/compare.ts";
import {
  type AnnotationSchema,
  type CheckRequest,
  type CheckService,
  RuleType,
} from "../gen/buf/plugin/check/v1/check_pb.ts";
import type { FileDescriptor } from "../gen/buf/plugin/descriptor/v1/descriptor_pb.ts";
import { declarationsOf } from "../model/declarations.ts";
import { lintRules, type RuleDescription } from "../rules/lint-rules.ts";
import { Problems } from "../rules/problems.ts";
import { createRules } from "../rules/read.ts";
import { fileOf, nearestPath } from "../rules/source-info.ts";
import { checkTopicNames } from "../rules/topic.ts";
import { describeFiles } from "../schema/describe-files.ts";
import { InvalidRequest, type Procedures } from "./plugin-rpc.ts";
import { checkTaste } from "./taste.ts";

/** The category of errors in a schema and of breaking changes. */
const correctness = "MICRO";
/** The category of conventions. */
const strict = "MICRO_STRICT";

type Annotation = MessageInitShape<typeof AnnotationSchema>;
type Methods = (typeof CheckService)["method"];

/** The service that buf calls. */
export const checkService: Procedures<Methods> = {
  listCategories: () => ({
    categories: [
      { id: correctness, purpose: "Checks the micro.v1 options and breaking changes of them." },
      {
        id: strict,
        purpose: "Checks that the micro.v1 options are complete and follow conventions.",
      },
    ],
  }),
  listRules: () => ({
    rules: [...rulesOf(lintRules, RuleType.LINT), ...rulesOf(breakingRules, RuleType.BREAKING)],
  }),
  check: (request) => {
    const [option] = request.options;
    if (option !== undefined) {
      throw new InvalidRequest(`unknown option ${option.key}; buf-plugin-micro has no options`);
    }
    const { ruleIds } = request;
    const asked = (rule: string, { default: always }: RuleDescription) =>
      ruleIds.length === 0 ? always : ruleIds.includes(rule);
    return { annotations: [...lint(request, asked), ...breaking(request, asked)] };
  },
};

type Asked = (rule: string, description: RuleDescription) => boolean;

function rulesOf(rules: Readonly<Record<string, RuleDescription>>, type: RuleType) {
  return Object.entries(rules).map(([id, rule]) => ({
    ...rule,
    id,
    type,
    categoryIds: [rule.default ? correctness : strict],
  }));
}

function lint({ fileDescriptors }: CheckRequest, asked: Asked): Annotation[] {
  const files = describe(fileDescriptors);
  const rules = createRules(files);
  const checked = withoutImports(files, fileDescriptors);
  const problems = new Problems();
  for (const file of checked) checkTaste(declarationsOf(file, rules, problems), problems);
  checkTopicNames(files, checked, rules, problems);
  return problems.found
    .filter(({ rule }) => asked(rule, lintRules[rule]))
    .map(({ rule, message, ...place }) => ({
      ruleId: rule,
      message: `${place.element.toString()}: ${message}`,
      fileLocation: locationOf(place),
    }));
}

function breaking(
  { fileDescriptors, againstFileDescriptors }: CheckRequest,
  asked: Asked,
): Annotation[] {
  if (againstFileDescriptors.length === 0) return [];
  const against = describe(againstFileDescriptors);
  const compared = withoutImports(against, againstFileDescriptors);
  const changes = compareSchemas(against, describe(fileDescriptors), (it) => compared.has(it));
  return changes
    .filter(({ rule }) => asked(rule, breakingRules[rule]))
    .map(({ rule, message, now, was }) => ({
      ruleId: rule,
      message: `${was.element.toString()}: ${message}`,
      ...(now && { fileLocation: locationOf(now) }),
      againstFileLocation: locationOf(was),
    }));
}

function describe(files: readonly FileDescriptor[]): readonly DescFile[] {
  // buf does not send imports first.
  return [...describeFiles(files.flatMap((it) => it.fileDescriptorProto ?? [])).files];
}

function withoutImports(
  described: readonly DescFile[],
  files: readonly FileDescriptor[],
): ReadonlySet<DescFile> {
  const imports = new Set(
    files.filter(({ isImport }) => isImport).map((it) => it.fileDescriptorProto?.name),
  );
  return new Set(described.filter(({ proto }) => !imports.has(proto.name)));
}

function locationOf({ element, optionPath }: Place) {
  return {
    fileName: fileOf(element).proto.name,
    sourcePath: nearestPath(element, optionPath),
  };
}
