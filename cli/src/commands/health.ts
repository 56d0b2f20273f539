import type { Node } from "@micro-es/runtime";
import { openBackendParts } from "../backend-parts.ts";
import { type Command, defineCommand } from "../command.ts";
import { readDuration } from "../duration.ts";
import { findTarget, targetOptions } from "../target.ts";
import { styled, text } from "../text.ts";

export const command: Command = defineCommand({
  arguments: [{ name: "service", help: "its name, or an address such as localhost:8080" }],
  options: {
    ...targetOptions,
    timeout: { type: "string", value: "time", help: "for each node; default 5s" },
  },
  details:
    "Checks each node separately. The exit code is 1 if one of them does not serve or does not respond.",
  examples: [["micro health greeter", "one line per node"]],
  async run({ arguments: [word = ""], options, output, environment, signal }) {
    const timeoutMs = readDuration(options.timeout ?? "5s", "timeout");
    output.progress(`asking ${word}`);
    await using backend = await openBackendParts(environment, options);
    const target = await findTarget(backend.registry, word, options, signal);
    const { askHealth } = await import("../debug/health.ts");
    const client = backend.client(target.protocol);
    const nodes = target.nodes.length > 0 ? target.nodes : [undefined];
    const responses = await Promise.all(
      nodes.map(async (node) => {
        const only = node === undefined ? {} : { filters: [({ id }: Node) => id === node.id] };
        const health = await askHealth(client, { ...target.call, ...only, timeoutMs, signal });
        return { node, ...health };
      }),
    );
    for (const { node, status, good, detail } of responses) {
      const address = node?.address ?? word;
      const mark = styled(good ? "green" : "red", status.padEnd(12));
      const rest = [address, node?.id ?? "", detail].join("  ").trimEnd();
      output.result(
        { node: node?.id, address, status, ...(detail === "" ? {} : { detail }) },
        () => text`${mark}  ${rest}`,
      );
    }
    return responses.every(({ good }) => good) ? 0 : 1;
  },
});
