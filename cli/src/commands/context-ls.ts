import { shownValue } from "@micro-es/runtime/redact";
import { type Command, defineCommand } from "../command.ts";
import { readContexts } from "../contexts.ts";
import { styled, text } from "../text.ts";

export const command: Command = defineCommand({
  arguments: [],
  options: {},
  details: "Passwords and tokens are not shown.",
  examples: [["micro context ls", "one line per environment; `*` marks the one in use"]],
  async run({ output, environment }) {
    const { current, contexts } = await readContexts(environment);
    const rows = Object.entries(contexts).sort(([a], [b]) => a.localeCompare(b));
    for (const [name, variables] of rows) {
      const shown = Object.fromEntries(
        Object.entries(variables).map(([key, value]) => [key, shownValue(key, value)]),
      );
      output.result({ name, current: name === current, variables: shown }, () => {
        const words = Object.entries(shown).map(([key, value]) => `${key}=${value}`);
        return text`${name === current ? "*" : " "} ${styled("bold", name)}  ${words.join(" ")}`;
      });
    }
    if (rows.length === 0) {
      output.note(
        "there are no named environments; `micro context set staging MICRO_BACKEND=nats://…` creates one",
      );
    }
  },
});
