import { relative, resolve } from "node:path";
import { type Command, defineCommand } from "../command.ts";
import { UsageError } from "../errors.ts";
import { nearest } from "../nearest.ts";
import type { Output } from "../output.ts";
import { projectFolder } from "../project-folder.ts";
import { joined, styled, text } from "../text.ts";

/** The checks, by their names for `--skip`. */
const questions = ["generated", "handlers", "schema"] as const;
type Question = (typeof questions)[number];

export const command: Command = defineCommand({
  arguments: [{ name: "folder", optional: true, help: "the project; default this folder" }],
  options: {
    against: {
      type: "string",
      value: "ref",
      help: "git reference of the schema to be compatible with; default the main branch",
    },
    skip: {
      type: "string",
      multiple: true,
      value: "question",
      help: `skip a check: ${questions.join(", ")}`,
    },
  },
  details:
    "For CI. Checks that the generated code is up to date, that every rpc and every subscriber has a handler, and that the\nschema is compatible with the main branch. The exit code is 1 if a check fails. With CI=true it is also 1 if a check\nis not possible, for example in a shallow clone without the main branch; --skip skips a check.\nIn a workspace, handlers are searched in all packages, and a package without a buf.gen.yaml is checked with those that\nit depends on.",
  examples: [
    ["micro check", "in CI, after npm ci"],
    ["micro check --against v1.4.0", "compare with a release"],
    ["micro check --skip handlers", "if handlers are in another repository"],
  ],
  async run({ arguments: [folder], options, output, environment }) {
    const skipped = readQuestions(options.skip ?? []);
    const project = await projectFolder(folder);
    const { schemaFolders } = await import("../buf/schema-folders.ts");
    const schemas = await schemaFolders(project);
    const asks: Readonly<Record<Question, () => Promise<boolean>>> = {
      generated: () => askGenerated(project, schemas, output),
      handlers: () => askHandlers(project, output),
      schema: () => askSchema(schemas, options.against, isCi(environment), output),
    };
    let fine = true;
    for (const question of questions) {
      if (skipped.has(question)) report(output, titles[question], [], { skipped: "left out" });
      else if (!(await asks[question]())) fine = false;
    }
    return fine ? 0 : 1;
  },
});

const titles: Readonly<Record<Question, string>> = {
  generated: "generated code",
  handlers: "handlers",
  schema: "schema",
};

function readQuestions(given: readonly string[]): ReadonlySet<Question> {
  const all = given.flatMap((text) => text.split(","));
  return new Set(
    all.map((text) => {
      const found = questions.find((it) => it === text);
      if (found !== undefined) return found;
      const meant = nearest(text, questions);
      const hint =
        meant === undefined ? `there are: ${questions.join(", ")}` : `did you mean ${meant}?`;
      throw new UsageError(`there is no check ${text} to skip; ${hint}`);
    }),
  );
}

function isCi({ CI = "" }: Readonly<Record<string, string | undefined>>): boolean {
  return !["", "0", "false"].includes(CI.toLowerCase());
}

async function askGenerated(
  project: string,
  schemas: readonly string[],
  output: Output,
): Promise<boolean> {
  output.progress("comparing generated code");
  const { generatedDrift } = await import("../check/generated.ts");
  const problems: string[] = [];
  for (const folder of schemas) {
    for (const { file, problem } of await generatedDrift(folder)) {
      problems.push(`${relative(project, resolve(folder, file))} is ${problem}`);
    }
  }
  const leftOver = problems.some((it) => it.endsWith("left over"));
  report(output, titles.generated, problems, {
    good: "is up to date",
    fix: leftOver
      ? "run `micro generate` and commit the result; delete unused files whose .proto still exists"
      : "run `micro generate` and commit the result",
  });
  return problems.length === 0;
}

async function askHandlers(project: string, output: Output): Promise<boolean> {
  output.progress("reading handlers");
  const { planScaffold } = await import("../scaffold/plan.ts");
  const plans = await planScaffold({ project, out: resolve(project, "src") });
  const problems = [
    ...plans
      .filter(({ missing }) => missing.length > 0)
      .map(({ handler, missing }) => `${handler.name} lacks ${missing.join(", ")}`),
    ...plans
      .flatMap(({ differences }) => differences)
      .map(
        ({ file, line, method, problem }) =>
          `${relative(project, file)}:${line} ${method}: ${problem}`,
      ),
  ];
  report(output, titles.handlers, problems, {
    good: "are complete",
    fix: "run `micro scaffold` to write them",
  });
  return problems.length === 0;
}

async function askSchema(
  schemas: readonly string[],
  reference: string | undefined,
  inCi: boolean,
  output: Output,
): Promise<boolean> {
  output.progress("comparing schemas");
  const { breakingChanges } = await import("../check/breaking.ts");
  const compared = [];
  for (const folder of schemas) compared.push(await breakingChanges(folder, reference));
  const changes = compared.flatMap((it) => it.changes);
  const against = compared.find((it) => it.against !== undefined)?.against;
  const not = compared.find((it) => it.uncompared !== undefined);
  if (not === undefined || changes.length > 0) {
    report(output, titles.schema, changes, {
      good: `is compatible with ${against}`,
      fix: "add fields and rpcs instead of changing them, or create a new version of the package",
    });
    return changes.length === 0;
  }
  if (not.isNew === true || !inCi) {
    report(output, titles.schema, [], { skipped: `is not compared: ${not.uncompared}` });
    return true;
  }
  report(output, titles.schema, [`cannot be compared: ${not.uncompared}`], {
    fix: "`--skip schema` skips this check",
  });
  return false;
}

/** The message about a check, after its subject. */
interface Words {
  readonly good?: string;
  readonly fix?: string;
  /** Why the check was not done. */
  readonly skipped?: string;
}

function report(
  output: Output,
  what: string,
  problems: readonly string[],
  { good, fix, skipped }: Words,
): void {
  const more = skipped === undefined ? {} : { skipped };
  output.result({ check: what, problems, ...more }, () => {
    if (skipped !== undefined) return text`${styled("yellow", "-")} ${what} ${skipped}`;
    if (problems.length === 0) return text`${styled("green", "✓")} ${what} ${good ?? ""}`;
    const lines = problems.map((it) => `    ${it}`);
    return joined([text`${styled("red", "✗")} ${what}`, ...lines, `  ${fix}`]);
  });
}
