import { type Command, defineCommand } from "../command.ts";
import { readContexts, writeContexts } from "../contexts.ts";
import { unknownContext } from "../environment.ts";
import { UsageError } from "../errors.ts";

export const command: Command = defineCommand({
  arguments: [{ name: "name", optional: true, help: "the environment; default the shell's own" }],
  options: {},
  examples: [["micro context use staging", "use staging from now on"]],
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
      name === undefined ? "commands now use the shell's environment" : `commands use ${name}`,
    );
  },
});
