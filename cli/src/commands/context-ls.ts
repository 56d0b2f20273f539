import { type Command, defineCommand } from "../command.ts";
import { readContexts } from "../contexts.ts";
import { isSecret, withoutPassword } from "../secret-variable.ts";

export const command: Command = defineCommand({
  arguments: [],
  options: {},
  details: "Passwords and tokens are not shown.",
  examples: [["micro context ls", "one line an environment; `*` marks the one in use"]],
  async run({ output, environment }) {
    const { current, contexts } = await readContexts(environment);
    const rows = Object.entries(contexts).sort(([a], [b]) => a.localeCompare(b));
    for (const [name, variables] of rows) {
      const shown = Object.fromEntries(
        Object.entries(variables).map(([key, value]) => [
          key,
          isSecret(key) ? "…" : withoutPassword(value),
        ]),
      );
      output.result({ name, current: name === current, variables: shown }, () => {
        const words = Object.entries(shown).map(([key, value]) => `${key}=${value}`);
        return `${name === current ? "*" : " "} ${output.style("bold", name)}  ${words.join(" ")}`;
      });
    }
    if (rows.length === 0) {
      output.note(
        "no environment has a name yet; `micro context set staging MICRO_NATS_URL=…` gives one",
      );
    }
  },
});
