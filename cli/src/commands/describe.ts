import type { DescEnum, DescMessage, DescService } from "@bufbuild/protobuf";
import { type Command, defineCommand, UsageError } from "../command.ts";
import { openFleet } from "../fleet.ts";
import { nearestFew } from "../nearest.ts";
import { isInfrastructure } from "../schema/find-method.ts";
import type { Reflected } from "../schema/reflection.ts";
import { referencesOf, render } from "../schema/render.ts";
import { loadSchema, schemaOptions } from "../schema/sources.ts";
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
    await using fleet = await openFleet(environment);
    output.progress(`asking ${word}`);
    const target = await findTarget(fleet.registry, word, options, signal);
    const schema = await loadSchema(fleet.client(target.protocol), target, options, signal);
    const roots = names.length > 0 ? names.map((name) => find(schema, name)) : ownServices(schema);
    for (const desc of names.length > 0 ? roots : withReferences(roots)) {
      const text = render(desc);
      output.result({ kind: desc.kind, name: desc.typeName, proto: text }, () => {
        const comment = output.style("dim", `// ${desc.typeName}`);
        return `${comment}\n${text}\n`;
      });
    }
  },
});

type Described = DescService | DescMessage | DescEnum;

/** All services, without those that every server has. */
function ownServices({ registry, services }: Reflected): Described[] {
  return services
    .filter((name) => !isInfrastructure(name))
    .flatMap((name) => registry.getService(name) ?? []);
}

function find({ registry, services }: Reflected, name: string): Described {
  const types = [...registry].filter((type) => type.kind !== "extension");
  const fitting = types.filter(
    ({ typeName }) => typeName === name || typeName.endsWith(`.${name}`),
  );
  const [first] = fitting;
  if (first !== undefined && fitting.length === 1) return first;
  if (fitting.length > 1) {
    throw new UsageError(
      `${name} can be one of: ${fitting.map(({ typeName }) => typeName).join(", ")}`,
    );
  }
  const all = types.map(({ typeName }) => typeName);
  throw new UsageError(
    `nothing is called ${name}; there are: ${nearestFew(name, all.length > 0 ? all : services, 5).join(", ")}`,
  );
}

/** What is described, followed by all that it names, once each; messages of protobuf itself are known. */
function withReferences(roots: readonly Described[]): readonly Described[] {
  const found = new Set<Described>(roots);
  // A set that grows while it is walked is walked to its end.
  for (const desc of found) {
    for (const reference of referencesOf(desc)) {
      if (!reference.typeName.startsWith("google.protobuf.")) found.add(reference);
    }
  }
  return [...found];
}
