import { type Command, defineCommand } from "../command.ts";
import { type Check, checks } from "../doctor/checks.ts";

export const command: Command = defineCommand({
  arguments: [],
  options: {},
  details: "The exit code is 1 when something is wrong that services need.",
  examples: [["micro doctor", "a line a check, with what to do where one fails"]],
  async run({ output, environment, signal }) {
    let broken = false;
    for (const check of checks) {
      output.progress(`looking at ${check.name}`);
      const finding = await examine(check, environment, signal);
      broken ||= finding.state === "wrong";
      output.result({ check: check.name, ...finding }, () => {
        const mark = output.style(colours[finding.state], marks[finding.state]);
        const remedy = finding.remedy === undefined ? "" : `\n    ${finding.remedy}`;
        return `${mark} ${check.name}: ${finding.found}${remedy}`;
      });
    }
    return broken ? 1 : 0;
  },
});

const marks = { good: "✓", missing: "-", wrong: "✗" } as const;
const colours = { good: "green", missing: "yellow", wrong: "red" } as const;

async function examine(
  check: Check,
  environment: Readonly<Record<string, string | undefined>>,
  signal: AbortSignal,
): ReturnType<Check["examine"]> {
  try {
    return await check.examine(environment, signal);
  } catch (reason) {
    return { state: "wrong", found: reason instanceof Error ? reason.message : String(reason) };
  }
}
