import { openBackendParts } from "../backend-parts.ts";
import { type Command, defineCommand } from "../command.ts";
import { schemaOptions } from "../schema/schema-options.ts";
import { findTarget, targetOptions } from "../target.ts";
import { lines, styled, text } from "../text.ts";

export const command: Command = defineCommand({
  arguments: [
    { name: "service", help: "its name, or an address such as localhost:8080" },
    {
      name: "names",
      optional: true,
      rest: true,
      help: "services or messages; default all services",
    },
  ],
  options: { ...targetOptions, ...schemaOptions },
  examples: [
    ["micro describe greeter", "its services, with their requests and responses"],
    [
      "micro describe localhost:50051 acme.v1.Order",
      "one message of any gRPC server with reflection",
    ],
  ],
  async run({ arguments: [word = "", ...names], options, output, environment, signal }) {
    output.progress(`asking ${word}`);
    await using backend = await openBackendParts(environment, options);
    const target = await findTarget(backend.registry, word, options, signal);
    const { loadSchema } = await import("../schema/sources.ts");
    const { describeSchema } = await import("../schema/reflected-schema.ts");
    const schema = await loadSchema(backend.client(target.protocol), target, options, signal);
    for (const description of describeSchema(schema, names)) {
      output.result(description, () => {
        const comment = styled("dim", `// ${description.name}`);
        return text`${comment}\n${lines(description.proto)}\n`;
      });
    }
  },
});
