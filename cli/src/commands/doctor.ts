import { type Command, defineCommand } from "../command.ts";
import type { Check } from "../doctor/check.ts";
import { checks } from "../doctor/checks.ts";
import { styled, text } from "../text.ts";

export const command: Command = defineCommand({
  arguments: [],
  options: {},
  details: "The exit code is 1 if something that services need does not work.",
  examples: [["micro doctor", "one line per check, and how to fix failures"]],
  async run({ output, environment, signal }) {
    let broken = false;
    for (const check of checks) {
      output.progress(`checking ${check.name}`);
      const finding = await examine(check, environment, signal);
      broken ||= finding.state === "wrong";
      output.result({ check: check.name, ...finding }, () => {
        const mark = styled(colours[finding.state], marks[finding.state]);
        const fix = finding.fix === undefined ? "" : text`\n    ${finding.fix}`;
        return text`${mark} ${check.name}: ${finding.found}${fix}`;
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
