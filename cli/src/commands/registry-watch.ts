import type { Node } from "@micro-es/runtime";
import { openBackendParts } from "../backend-parts.ts";
import { type Command, defineCommand } from "../command.ts";
import { joined, type RichText, styled, text } from "../text.ts";

export const command: Command = defineCommand({
  arguments: [{ name: "service", help: "the service to watch" }],
  options: {},
  examples: [["micro registry watch greeter", "one line per node that joins, changes or leaves"]],
  async run({ arguments: [service = ""], output, environment, signal }) {
    output.progress(`finding ${service}`);
    await using backend = await openBackendParts(environment);
    // A watch waits for a registry that it cannot reach; the user has to be informed.
    await backend.registry.get(service, { signal });
    for await (const event of backend.registry.watch(service, { signal })) {
      output.endProgress();
      const nodes = event.type === "snapshot" ? event.nodes : [event.node];
      output.result({ time: new Date().toISOString(), ...event }, () =>
        joined(nodes.map((node) => line(event.type, node))),
      );
      if (event.type === "snapshot" && nodes.length === 0) {
        output.note(`${service} has no node yet; waiting`);
      }
    }
  },
});

const marks = { snapshot: "=", added: "+", updated: "~", removed: "-" } as const;
const styles = { snapshot: "dim", added: "green", updated: "yellow", removed: "red" } as const;

function line(type: keyof typeof marks, node: Node): RichText {
  const time = styled("dim", new Date().toISOString().slice(11, 19));
  const mark = styled(styles[type], marks[type]);
  return text`${time} ${mark} ${node.id}  ${node.address}  ${node.version}`;
}
