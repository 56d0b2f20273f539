import { type Command, defineCommand } from "../command.ts";
import { readContexts, writeContexts } from "../contexts.ts";
import { unknownContext } from "../environment.ts";
import { UsageError } from "../errors.ts";

export const command: Command = defineCommand({
  arguments: [{ name: "name", help: "the environment" }],
  options: {},
  examples: [["micro context rm staging", "delete staging"]],
  async run({ arguments: [name = ""], output, environment }) {
    const { current, contexts } = await readContexts(environment);
    const { [name]: gone, ...rest } = contexts;
    if (gone === undefined) throw new UsageError(unknownContext(name, Object.keys(contexts)));
    await writeContexts(environment, {
      contexts: rest,
      ...(current === undefined || current === name ? {} : { current }),
    });
    output.note(`${name} was deleted`);
  },
});
