import type { Node } from "@micro-es/runtime";
import { type Command, defineCommand } from "../command.ts";
import { openFleet } from "../fleet.ts";
import type { Output } from "../output.ts";

export const command: Command = defineCommand({
  arguments: [{ name: "service", help: "the service whose nodes are watched" }],
  options: {},
  examples: [["micro registry watch greeter", "a line for each node that comes, changes or goes"]],
  async run({ arguments: [service = ""], output, environment, signal }) {
    output.progress(`looking for ${service}`);
    await using fleet = await openFleet(environment);
    // A watch waits for a registry that it cannot reach; whoever asked for it is told.
    await fleet.registry.get(service, { signal });
    for await (const event of fleet.registry.watch(service, { signal })) {
      output.endProgress();
      const nodes = event.type === "snapshot" ? event.nodes : [event.node];
      output.result({ time: new Date().toISOString(), ...event }, () =>
        nodes.map((node) => line(event.type, node, output)).join("\n"),
      );
      if (event.type === "snapshot" && nodes.length === 0) {
        output.note(`${service} has no node yet; waiting`);
      }
    }
  },
});

const marks = { snapshot: "=", added: "+", updated: "~", removed: "-" } as const;
const styles = { snapshot: "dim", added: "green", updated: "yellow", removed: "red" } as const;

function line(type: keyof typeof marks, node: Node, output: Output): string {
  const time = output.style("dim", new Date().toISOString().slice(11, 19));
  const mark = output.style(styles[type], marks[type]);
  return `${time} ${mark} ${node.id}  ${node.address}  ${node.version}`;
}
