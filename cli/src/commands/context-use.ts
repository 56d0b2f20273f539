import { type Command, defineCommand, UsageError } from "../command.ts";
import { readContexts, writeContexts } from "../contexts.ts";
import { unknownContext } from "../environment.ts";

export const command: Command = defineCommand({
  arguments: [{ name: "name", optional: true, help: "the environment; none for the shell's own" }],
  options: {},
  examples: [["micro context use staging", "commands look at staging from now on"]],
  async run({ arguments: [name], output, environment }) {
    const { contexts } = await readContexts(environment);
    if (name !== undefined && contexts[name] === undefined) {
      throw new UsageError(unknownContext(name, Object.keys(contexts)));
    }
    await writeContexts(environment, {
      contexts,
      ...(name === undefined ? {} : { current: name }),
    });
    output.note(
      name === undefined ? "commands use the shell's own environment" : `commands use ${name}`,
    );
  },
});
