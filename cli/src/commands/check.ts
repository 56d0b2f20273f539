import { relative, resolve } from "node:path";
import { type Command, defineCommand } from "../command.ts";
import type { Output } from "../output.ts";
import { projectFolder } from "../project-folder.ts";

export const command: Command = defineCommand({
  arguments: [{ name: "folder", optional: true, help: "the project; default this folder" }],
  options: {
    against: {
      type: "string",
      value: "ref",
      help: "the git reference whose schema must not be broken; default the main branch",
    },
  },
  details:
    "For CI. Three questions: is the generated code up to date, does every rpc and every subscriber have a handler, and does\nthe schema still serve those who use the one of the main branch. The exit code is 1 when one is answered with no.",
  examples: [
    ["micro check", "in CI, after npm ci"],
    ["micro check --against v1.4.0", "against what was released"],
  ],
  async run({ arguments: [folder], options, output }) {
    const project = await projectFolder(folder);
    output.progress("comparing generated code");
    const { generatedDrift } = await import("../check/generated.ts");
    const drift = await generatedDrift(project);
    report(
      output,
      "generated code",
      drift.map(({ file, problem }) => `${file} is ${problem}`),
      {
        good: "is up to date",
        remedy: "run `npx micro generate` and commit what it writes",
      },
    );
    output.progress("reading handlers");
    const { planScaffold } = await import("../scaffold/plan.ts");
    const plans = await planScaffold({ project, out: resolve(project, "src") });
    const lacking = plans.filter(({ missing }) => missing.length > 0);
    const differing = plans.flatMap(({ differences }) => differences);
    report(
      output,
      "handlers",
      [
        ...lacking.map(({ handler, missing }) => `${handler.name} lacks ${missing.join(", ")}`),
        ...differing.map(
          ({ file, line, method, problem }) =>
            `${relative(project, file)}:${line} ${method}: ${problem}`,
        ),
      ],
      { good: "are complete", remedy: "`npx micro scaffold` writes what is missing" },
    );
    output.progress("comparing schemas");
    const { breakingChanges } = await import("../check/breaking.ts");
    const { against, uncompared, changes } = await breakingChanges(project, options.against);
    report(output, "schema", changes, {
      good: `breaks nobody who uses ${against}'s`,
      ...(uncompared === undefined ? {} : { skipped: `is compared with nothing: ${uncompared}` }),
      remedy: "add fields and rpcs instead of changing them, or make a new version of the package",
    });
    return drift.length + lacking.length + differing.length + changes.length > 0 ? 1 : 0;
  },
});

/** What to say of a question, after what it is about. */
interface Words {
  readonly good: string;
  readonly remedy: string;
  /** Why it could not be asked. */
  readonly skipped?: string;
}

function report(
  output: Output,
  what: string,
  problems: readonly string[],
  { good, remedy, skipped }: Words,
): void {
  const more = skipped === undefined ? {} : { skipped };
  output.result({ check: what, problems, ...more }, () => {
    if (skipped !== undefined) return `${output.style("yellow", "-")} ${what} ${skipped}`;
    if (problems.length === 0) return `${output.style("green", "✓")} ${what} ${good}`;
    const lines = problems.map((it) => `    ${it}`);
    return [`${output.style("red", "✗")} ${what}`, ...lines, `  ${remedy}`].join("\n");
  });
}
