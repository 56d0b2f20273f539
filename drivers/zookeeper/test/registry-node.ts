import type { Node } from "@micro-es/runtime";
import { type ZooKeeperRegistryOptions, zooKeeperRegistry } from "@micro-es/zookeeper";

/** A process that registers nodes and then does nothing until it is ended. */
const { options, nodes, ttlMs } = JSON.parse(process.argv[2] ?? "{}") as {
  options: ZooKeeperRegistryOptions;
  nodes: readonly Node[];
  ttlMs: number;
};
const registry = zooKeeperRegistry(options);
for (const node of nodes) await registry.register(node, { ttlMs });
process.stdout.write("ready\n");
setInterval(() => {}, 60_000);
