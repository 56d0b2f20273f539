import { openBackendParts } from "../backend-parts.ts";
import { type Command, defineCommand } from "../command.ts";

export const command: Command = defineCommand({
  arguments: [{ name: "names", optional: true, rest: true, help: "only these; default all" }],
  options: {
    all: { type: "boolean", help: "include services of brokers and other parts" },
  },
  examples: [
    ["micro services", "list all services"],
    ["micro services --json | jq .name", "their names"],
  ],
  async run({ arguments: names, options, output, environment, signal }) {
    output.progress("finding services");
    await using backend = await openBackendParts(environment);
    const known = names.length > 0 ? names : await backend.registry.list({ signal });
    const own = known.filter((name) => !name.startsWith("micro."));
    const wanted = names.length > 0 || options.all === true ? known : own;
    const rows: string[][] = [];
    let found = 0;
    for (const name of wanted) {
      const nodes = await backend.registry.get(name, { signal });
      found += nodes.length;
      if (output.json) output.result({ name, nodes }, () => "");
      for (const { id, version, address, metadata, endpoints } of nodes) {
        const protocol = metadata.protocol ?? "";
        rows.push([name, version, address, protocol, String(endpoints.length), id]);
      }
    }
    if (rows.length > 0 && !output.json) {
      output.line(
        output.table(["SERVICE", "VERSION", "ADDRESS", "PROTOCOL", "ENDPOINTS", "NODE"], rows),
      );
    }
    if (found === 0) {
      output.note(
        "no service found; is it on the same network, with the same MICRO_REGISTRY and MICRO_MDNS_PORT?",
      );
    }
  },
});
