import { type Command, defineCommand } from "../command.ts";
import { openFleet } from "../fleet.ts";
import { schemaOptions } from "../schema/schema-options.ts";
import { findTarget, targetOptions } from "../target.ts";

export const command: Command = defineCommand({
  arguments: [
    { name: "service", help: "its name, or an address such as localhost:8080" },
    {
      name: "names",
      optional: true,
      rest: true,
      help: "services or messages; none for all services",
    },
  ],
  options: { ...targetOptions, ...schemaOptions },
  examples: [
    ["micro describe greeter", "its services, with all messages that they take and give"],
    [
      "micro describe localhost:50051 acme.v1.Order",
      "one message of any gRPC server with reflection",
    ],
  ],
  async run({ arguments: [word = "", ...names], options, output, environment, signal }) {
    output.progress(`asking ${word}`);
    await using fleet = await openFleet(environment);
    const target = await findTarget(fleet.registry, word, options, signal);
    const { loadSchema } = await import("../schema/sources.ts");
    const { describeSchema } = await import("../schema/described.ts");
    const schema = await loadSchema(fleet.client(target.protocol), target, options, signal);
    for (const description of describeSchema(schema, names)) {
      output.result(description, () => {
        const comment = output.style("dim", `// ${description.name}`);
        return `${comment}\n${description.proto}\n`;
      });
    }
  },
});
