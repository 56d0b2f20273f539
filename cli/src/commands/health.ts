import type { Node } from "@micro-es/runtime";
import { type Command, defineCommand } from "../command.ts";
import { readDuration } from "../duration.ts";
import { openFleet } from "../fleet.ts";
import { findTarget, targetOptions } from "../target.ts";

export const command: Command = defineCommand({
  arguments: [{ name: "service", help: "its name, or an address such as localhost:8080" }],
  options: {
    ...targetOptions,
    timeout: { type: "string", value: "time", help: "for each node; default 5s" },
  },
  details:
    "Asks each node by itself. The exit code is 1 when one of them does not serve or does not answer.",
  examples: [["micro health greeter", "a line a node"]],
  async run({ arguments: [word = ""], options, output, environment, signal }) {
    const timeoutMs = readDuration(options.timeout ?? "5s", "timeout");
    output.progress(`asking ${word}`);
    await using fleet = await openFleet(environment);
    const target = await findTarget(fleet.registry, word, options, signal);
    const { askHealth } = await import("../debug/health.ts");
    const client = fleet.client(target.protocol);
    const nodes = target.nodes.length > 0 ? target.nodes : [undefined];
    const answers = await Promise.all(
      nodes.map(async (node) => {
        const only = node === undefined ? {} : { filters: [({ id }: Node) => id === node.id] };
        const health = await askHealth(client, { ...target.call, ...only, timeoutMs, signal });
        return { node, ...health };
      }),
    );
    for (const { node, status, good, detail } of answers) {
      const address = node?.address ?? word;
      output.result({ node: node?.id, address, status, ...(detail === "" ? {} : { detail }) }, () =>
        `${output.style(good ? "green" : "red", status.padEnd(12))}  ${address}  ${node?.id ?? ""}  ${detail}`.trimEnd(),
      );
    }
    return answers.every(({ good }) => good) ? 0 : 1;
  },
});
