import { type Command, defineCommand } from "../command.ts";
import { contextsFile, readContexts, writeContexts } from "../contexts.ts";
import { UsageError } from "../errors.ts";

export const command: Command = defineCommand({
  arguments: [
    { name: "name", help: "name of the environment" },
    { name: "variables", rest: true, help: "MICRO_X=value; MICRO_X= removes one" },
  ],
  options: { use: { type: "boolean", help: "make it the default" } },
  details: "An environment is a set of the MICRO_* variables that services read.",
  examples: [
    [
      "micro context set staging MICRO_BACKEND=nats://10.0.0.5:4222 --use",
      "create an environment and make it the default",
    ],
  ],
  async run({ arguments: [name = "", ...settings], options, output, environment }) {
    if (!/^[\w.-]+$/.test(name)) {
      throw new UsageError(`"${name}" is not a valid name: use letters, digits, "-", "_" and "."`);
    }
    const before = await readContexts(environment);
    const variables = { ...before.contexts[name] };
    for (const setting of settings) {
      const [, key, value] = /^(MICRO_[A-Z0-9_]+)=(.*)$/s.exec(setting) ?? [];
      if (key === undefined || value === undefined) {
        throw new UsageError(`"${setting}" is not a variable: write MICRO_X=value`);
      }
      if (value === "") delete variables[key];
      else variables[key] = value;
    }
    await writeContexts(environment, {
      ...before,
      contexts: { ...before.contexts, [name]: variables },
      ...(options.use === true ? { current: name } : {}),
    });
    output.note(`${name} was saved in ${contextsFile(environment)}`);
  },
});
