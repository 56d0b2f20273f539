import { type ConsulRegistryOptions, consulRegistry } from "@micro-es/consul";
import type { Node } from "@micro-es/runtime";

/** A process that registers nodes and then does nothing until it is ended. */
const { options, nodes, ttlMs } = JSON.parse(process.argv[2] ?? "{}") as {
  options: ConsulRegistryOptions;
  nodes: readonly Node[];
  ttlMs: number;
};
const registry = consulRegistry(options);
for (const node of nodes) await registry.register(node, { ttlMs });
process.stdout.write("ready\n");
setInterval(() => {}, 60_000);
