import { type Command, defineCommand, UsageError } from "../command.ts";
import { contextsFile, readContexts, writeContexts } from "../contexts.ts";

export const command: Command = defineCommand({
  arguments: [
    { name: "name", help: "what the environment is called" },
    { name: "variables", rest: true, help: "MICRO_X=value; MICRO_X= takes one out" },
  ],
  options: { use: { type: "boolean", help: "use it from now on" } },
  details:
    "An environment is a set of MICRO_* variables, the same that services read: which registry, which broker, where.",
  examples: [
    [
      "micro context set staging MICRO_NATS_URL=nats://10.0.0.5:4222 --use",
      "names an environment and uses it",
    ],
  ],
  async run({ arguments: [name = "", ...settings], options, output, environment }) {
    if (!/^[\w.-]+$/.test(name)) {
      throw new UsageError(`"${name}" is no name: letters, digits, "-", "_" and "." make one`);
    }
    const before = await readContexts(environment);
    const variables = { ...before.contexts[name] };
    for (const setting of settings) {
      const [, key, value] = /^(MICRO_[A-Z0-9_]+)=(.*)$/s.exec(setting) ?? [];
      if (key === undefined || value === undefined) {
        throw new UsageError(`"${setting}" is no variable: write MICRO_X=value`);
      }
      if (value === "") delete variables[key];
      else variables[key] = value;
    }
    await writeContexts(environment, {
      ...before,
      contexts: { ...before.contexts, [name]: variables },
      ...(options.use === true ? { current: name } : {}),
    });
    output.note(`${name} is kept in ${contextsFile(environment)}`);
  },
});
